/** What the files of sealed-1/ hold. */

/** Every byte string is lower-case hexadecimal, every time unix ms. `expect` is "ok" or a code of the error table. */
export interface DerivationVector {
  master_key: string;
  kid: string;
  transport: string;
  hid: string;
  rn: string;
  /** This machine's own clients, and a paired one. */
  local: DerivedKeys;
  client: DerivedKeys & { id: string };
}

export interface DerivedKeys {
  psk_id: string;
  psk: string;
  host_psk: string;
  runner_psk: string;
}

export interface KeyDocumentVector {
  comment: string;
  expect: string;
  suite: number;
  psk: string;
  hid: string;
  model: string;
  challenge: string;
  document: unknown;
  /** Where `expect` is "ok": the PSK of the requests sealed to it. */
  runner_psk?: string;
}

export interface RequestVector {
  comment: string;
  expect: string;
  suite: number;
  /** What the client sealed with. */
  psk_id: string;
  runner_psk: string;
  /** What the runner knows: this psk_id and no other. */
  known: { psk_id: string; runner_psk: string };
  /** The runner's private key (suite 2: its 32-byte seed) and public key. */
  sk: string;
  pk: string;
  /** The client's ephemeral private key, where the message can be made again from it. */
  ephemeral_sk?: string;
  /** The runner's clock. */
  now: number;
  /** Data bytes of each frame, where not as many as fit. */
  frame_bytes?: number;
  /** The runner's limit on the sealed body, where it matters. */
  body_limit?: number;
  /** Entries the replay window takes, where it matters. */
  window_entries?: number;
  /** The same bytes were opened before: the expectation is of the second time. */
  opened_before?: boolean;
  /** What it says, where `expect` is "ok". */
  m?: string;
  p?: string;
  h?: { [name: string]: string };
  t?: number;
  body?: string;
  enc?: string;
  commit?: string;
  response_secret?: string;
  wire: string;
}

export interface ReplyVector {
  comment: string;
  expect: string;
  /** `Export("secllama/1 response", 32)` and the request's encapsulated key. */
  response_secret: string;
  enc: string;
  rs?: string;
  s?: number;
  h?: { [name: string]: string };
  /** The client's new key, sealed to it, as the envelope has it. */
  k?: string;
  /** Padding step, where it is not 64. */
  bucket?: number;
  /** Data of each call: after the head, then the last one FINAL. */
  pieces?: string[];
  wire: string;
}

export interface ProofVector {
  comment: string;
  psk_id: string;
  psk: string;
  hid: string;
  method: string;
  target: string;
  body: string;
  t: number;
  nonce: string;
  /** The host is one of a fleet's, and the proof names it. */
  named?: true;
  /** The value of `Secllama-Proof`. */
  header: string;
}

export interface MemberVector {
  comment: string;
  expect: string;
  fid: string;
  issuer: string;
  hid: string;
  /** The client's clock. */
  now: number;
  /** The value of `Secllama-Member`. */
  member: string;
}

export interface PairingVector {
  comment: string;
  expect: string;
  text: string;
  fields?: {
    url: string;
    psk_id: string;
    psk: string;
    hid: string;
    issuer?: string;
    cert?: string;
    previous?: { psk_id: string; psk: string };
  };
}

export interface RenewalVector {
  comment: string;
  /** "ok", or "ignored": the client goes on as if there were none. */
  expect: "ok" | "ignored";
  /** The client's own key, its host's id, and how many times that host had changed its keys. */
  psk_id: string;
  psk: string;
  hid: string;
  gen: number;
  nonce?: string;
  /** `k` of a reply. */
  k: string;
  fields?: { psk_id: string; psk: string; gen: number };
}

export interface VectorFile<T> {
  description: string;
  vectors: T[];
}
