// Renders templates with Go's text/template, as Ollama drives it: cases as lines of JSON in, results as lines of JSON out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"oracle/template"
)

type result struct {
	Text  string `json:"text"`
	Phase string `json:"phase,omitempty"`
	Error string `json:"error,omitempty"`
}

func render(line []byte) (r result) {
	defer func() {
		if err := recover(); err != nil {
			r = result{Phase: "panic", Error: fmt.Sprint(err)}
		}
	}()
	var c template.Case
	if err := json.Unmarshal(line, &c); err != nil {
		return result{Phase: "case", Error: err.Error()}
	}
	text, phase, err := template.Render(c)
	if err != nil {
		return result{Phase: phase, Error: err.Error()}
	}
	// What prints the address of something is another text each time.
	var twin template.Case
	if err := json.Unmarshal(line, &twin); err != nil {
		panic(err)
	}
	if again, _, _ := template.Render(twin); again != text {
		return result{Phase: "unstable"}
	}
	runtime.KeepAlive(c)
	return result{Text: text}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		if err := out.Encode(render(in.Bytes())); err != nil {
			panic(err)
		}
	}
}
