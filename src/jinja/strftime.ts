/** C's `strftime` in the C locale, as Python hands it on. */

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS =
  "January February March April May June July August September October November December".split(
    " ",
  );
const DIRECTIVE = /%([-_0^#]?)([A-Za-z%])/g;

/** The time `at`, in the zone of this process. A directive that is none stays as it is. */
export function strftime(format: string, at: Date): string {
  return format.replace(DIRECTIVE, (whole, flag: string, letter: string) => {
    const value = directive(letter, at);
    if (value === undefined) return whole;
    const [text, width, fill] = value;
    if (width === 0) return flag === "^" ? text.toUpperCase() : text;
    if (flag === "-") return text;
    return text.padStart(width, flag === "_" ? " " : flag === "0" ? "0" : fill);
  });
}

/** The text, and of a number the width and what fills it. */
function directive(
  letter: string,
  at: Date,
): readonly [text: string, width: number, fill: string] | undefined {
  const number = (value: number, width = 2, fill = "0") => [String(value), width, fill] as const;
  const text = (value: string) => [value, 0, ""] as const;
  const hour = at.getHours() % 12 || 12;
  switch (letter) {
    case "%":
      return text("%");
    case "n":
      return text("\n");
    case "t":
      return text("\t");
    case "a":
      return text(DAYS[at.getDay()]!.slice(0, 3));
    case "A":
      return text(DAYS[at.getDay()]!);
    case "b":
    case "h":
      return text(MONTHS[at.getMonth()]!.slice(0, 3));
    case "B":
      return text(MONTHS[at.getMonth()]!);
    case "c":
      return text(strftime("%a %b %e %H:%M:%S %Y", at));
    case "C":
      return number(Math.floor(at.getFullYear() / 100));
    case "d":
      return number(at.getDate());
    case "D":
    case "x":
      return text(strftime("%m/%d/%y", at));
    case "e":
      return number(at.getDate(), 2, " ");
    case "f":
      return text(String(at.getMilliseconds()).padStart(3, "0") + "000");
    case "F":
      return text(strftime("%Y-%m-%d", at));
    case "g":
      return number(isoWeek(at)[0] % 100);
    case "G":
      return number(isoWeek(at)[0], 4);
    case "H":
      return number(at.getHours());
    case "I":
      return number(hour);
    case "j":
      return number(dayOfYear(at), 3);
    case "k":
      return number(at.getHours(), 2, " ");
    case "l":
      return number(hour, 2, " ");
    case "m":
      return number(at.getMonth() + 1);
    case "M":
      return number(at.getMinutes());
    case "p":
      return text(at.getHours() < 12 ? "AM" : "PM");
    case "P":
      return text(at.getHours() < 12 ? "am" : "pm");
    case "r":
      return text(strftime("%I:%M:%S %p", at));
    case "R":
      return text(strftime("%H:%M", at));
    case "s":
      return text(String(Math.floor(at.getTime() / 1000)));
    case "S":
      return number(at.getSeconds());
    case "T":
    case "X":
      return text(strftime("%H:%M:%S", at));
    case "u":
      return text(String(at.getDay() || 7));
    case "U":
      return number(Math.floor((dayOfYear(at) + 6 - at.getDay()) / 7));
    case "V":
      return number(isoWeek(at)[1]);
    case "w":
      return text(String(at.getDay()));
    case "W":
      return number(Math.floor((dayOfYear(at) + 6 - (at.getDay() + 6) % 7) / 7));
    case "y":
      return number(at.getFullYear() % 100);
    case "Y":
      return number(at.getFullYear(), 4);
    // Python's `datetime.now()` knows no zone.
    case "z":
    case "Z":
      return text("");
  }
  return undefined;
}

function dayOfYear(at: Date): number {
  const day = Date.UTC(at.getFullYear(), at.getMonth(), at.getDate());
  return (day - Date.UTC(at.getFullYear(), 0, 1)) / 86_400_000 + 1;
}

/** ISO 8601: the week belongs to the year of its Thursday. */
function isoWeek(at: Date): [year: number, week: number] {
  const thursday = new Date(Date.UTC(
    at.getFullYear(),
    at.getMonth(),
    at.getDate() + 4 - (at.getDay() || 7),
  ));
  const year = thursday.getUTCFullYear();
  const days = (thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000;
  return [year, Math.floor(days / 7) + 1];
}
