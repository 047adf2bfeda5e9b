/** The policy of stage 2: what a runner leaves itself once the model is loaded. */
import { type PolicyPart, type SeccompPolicy, widen } from "./seccomp.ts";

/** A profile's two filters. */
interface Filters {
  readonly seccomp: SeccompPolicy;
  readonly stage2: SeccompPolicy;
}

/**
 * The second filter of a profile, which answers with the first one's errors what neither lets pass.
 * @param more What a GPU's driver needs after load.
 */
export function stage2Of({ seccomp, stage2 }: Filters, more?: PolicyPart): SeccompPolicy {
  const whole = { ...stage2, errors: { ...seccomp.errors, ...stage2.errors } };
  return more ? widen(whole, more) : whole;
}
