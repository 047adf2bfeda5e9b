"""What Python's clients do on the wire, by the libraries that they are built on.

httpx: ollama, openai, anthropic, llama-index, LangChain. requests: older LangChain, LiteLLM, scripts. aiohttp: Open WebUI.
Prints one line of JSON for each check; the test compares them.
"""

import asyncio
import json
import sys

import aiohttp
import httpx
import requests

URL = sys.argv[1]
ASK = {
    "model": "demo",
    "messages": [{"role": "user", "content": "What is network isolation?"}],
    "options": {"temperature": 0, "num_predict": 12},
}
OPENAI_HEADERS = {
    "Authorization": "Bearer anything",
    "OpenAI-Organization": "org",
    "x-stainless-lang": "python",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
}


def show(name, value):
    print(json.dumps([name, value]), flush=True)


def text_of(lines):
    return "".join(json.loads(line)["message"]["content"] for line in lines if line)


def with_httpx():
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "ollama-python/0.5"}
    with httpx.Client(base_url=URL, headers=headers, follow_redirects=True, timeout=300) as client:
        show("httpx tags", [m["name"] for m in client.request("GET", "/api/tags").json()["models"]])
        show("httpx chat", client.post("/api/chat", json={**ASK, "stream": False, "tools": []}).json()["message"]["content"])
        with client.stream("POST", "/api/chat", json={**ASK, "stream": True}) as response:
            show("httpx stream", text_of(response.iter_lines()))
        show("httpx show", client.post("/api/show", json={"model": "demo"}).json()["details"]["family"])
    with httpx.Client(base_url=f"{URL}/v1/", headers=OPENAI_HEADERS, timeout=300) as client:
        show("openai models", [m["id"] for m in client.get("models").json()["data"]])
        body = {"model": "demo", "messages": ASK["messages"], "temperature": 0, "max_tokens": 12}
        show("openai chat", client.post("chat/completions", json=body).json()["choices"][0]["message"]["content"])
        with client.stream("POST", "chat/completions", json={**body, "stream": True}) as response:
            events = [line[6:].strip() for line in response.iter_lines() if line.startswith("data: ")]
        pieces = [json.loads(e)["choices"][0]["delta"].get("content") or "" for e in events[:-1]]
        show("openai stream", ["".join(pieces), events[-1]])
    headers = {"x-api-key": "anything", "anthropic-version": "2023-06-01", "anthropic-beta": "tools-2024-04-04,x"}
    body = {"model": "demo", "messages": ASK["messages"], "temperature": 0, "max_tokens": 12}
    answer = httpx.post(f"{URL}/v1/messages?beta=true", headers=headers, json=body, timeout=300).json()
    show("anthropic", answer["content"][0]["text"])


def with_requests():
    session = requests.Session()
    answer = session.post(f"{URL}/api/chat/", json={**ASK, "stream": False}, timeout=300)
    show("requests slash", answer.json()["message"]["content"])
    # data= without a content type, as scripts have it.
    answer = session.post(f"{URL}/api/chat", data=json.dumps(ASK), stream=True, timeout=300)
    show("requests stream", text_of(answer.iter_lines()))

    def pieces():
        body = json.dumps({**ASK, "stream": False}).encode()
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    show("requests chunked", session.post(f"{URL}/api/chat", data=pieces(), timeout=300).json()["message"]["content"])
    show("requests version", sorted(session.get(f"{URL}/api/version/").json()))


async def with_aiohttp():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(f"{URL}/api/version") as response:
            show("aiohttp version", sorted(await response.json()))
        async with session.get(f"{URL}/v1/models", headers={"Authorization": "Bearer "}) as response:
            show("aiohttp models", [m["id"] for m in (await response.json())["data"]])
        ask = json.dumps({**ASK, "stream": True})
        headers = {"Content-Type": "application/json"}
        async with session.post(f"{URL}/api/chat", data=ask, headers=headers) as response:
            show("aiohttp stream", text_of([line async for line in response.content]))

        async def one():
            async with session.post(f"{URL}/api/chat", json={**ASK, "stream": False}) as response:
                return (await response.json())["message"]["content"]

        show("aiohttp together", await asyncio.gather(*(one() for _ in range(6))))


with_httpx()
with_requests()
asyncio.run(with_aiohttp())
