/** The named characters of HTML 4.01, section 24: of its three sets, those that are letters, marks and signs in texts. */

/** From U+00A0 on, in order. */
const LATIN_1 =
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr " +
  "deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest " +
  "Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc " +
  "Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute " +
  "THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave " +
  "iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc " +
  "uuml yacute thorn yuml";
/** From U+0391 on; there is no U+03A2. */
const CAPITALS =
  "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron " +
  "Pi Rho - Sigma Tau Upsilon Phi Chi Psi Omega";
/** From U+03B1 on. */
const SMALL =
  "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi " +
  "rho sigmaf sigma tau upsilon phi chi psi omega";
const OTHERS: Readonly<Record<string, string>> = {
  ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" },
  ...{ OElig: "Œ", oelig: "œ", Scaron: "Š", scaron: "š", Yuml: "Ÿ", fnof: "ƒ" },
  ...{ circ: "ˆ", tilde: "˜", ensp: "\u2002", emsp: "\u2003", thinsp: "\u2009" },
  ...{ zwnj: "\u200c", zwj: "\u200d", lrm: "\u200e", rlm: "\u200f" },
  ...{ ndash: "–", mdash: "—", lsquo: "‘", rsquo: "’", sbquo: "‚", ldquo: "“", rdquo: "”" },
  ...{ bdquo: "„", dagger: "†", Dagger: "‡", bull: "•", hellip: "…", permil: "‰", prime: "′" },
  ...{ Prime: "″", lsaquo: "‹", rsaquo: "›", euro: "€", trade: "™", larr: "←", rarr: "→" },
  ...{ minus: "−", ne: "≠", le: "≤", ge: "≥", asymp: "≈", infin: "∞", sum: "∑", radic: "√" },
};

/** What a name stands for. */
export const ENTITIES: ReadonlyMap<string, string> = new Map([
  ...from(0xa0, LATIN_1),
  ...from(0x391, CAPITALS),
  ...from(0x3b1, SMALL),
  ...Object.entries(OTHERS),
]);

function from(first: number, names: string): [string, string][] {
  return names.split(" ").map((name, i) => [name, String.fromCharCode(first + i)]);
}
