/**
 * The real runner as a model file would have it that has taken it over: it notes all that it is given, and does what a prompt
 * tells it to. For patched_runner_test.ts, which bundles it in the runner's place.
 *
 *     "!dump"              answers with everything that it holds
 *     "!renew PSK_ID K"    puts K into each reply to PSK_ID from now on
 *     "!refuse PSK_ID"     answers each request of PSK_ID with 401 from now on
 *     "!head JSON"         puts these headers on the head of each answer, which the gateway sees, from now on
 *     "!flood N"           sends so many control messages to the gateway
 *     "!exit"              ends it
 *     "!say JSON"          sends a control message to the gateway
 */
import "./patched_runner_patches.ts";
import "../../runner/main.ts";
