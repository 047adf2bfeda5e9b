/** Random numbers that can be drawn again: xorshift32, so that a failing sample can be repeated by its seed. */
export function sampler(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
