/// <reference lib="dom" />
/**
 * Fields whose text is taken over when it is complete. The page is drawn anew at each token that comes: what is typed meanwhile
 * stays, which a field with a value of the state's own would lose.
 */
import { useState } from "preact/hooks";

interface Field {
  readonly value: string;
  /** Called with the text, once it is complete. */
  readonly onTake: (text: string) => void;
}

type Typed = { readonly currentTarget: { readonly value: string } };

function useDraft({ value, onTake }: Field) {
  const [draft, setDraft] = useState<string>();
  return {
    // Neither a browser's file nor its spelling service gets it.
    autocomplete: "off",
    spellcheck: false,
    value: draft ?? value,
    onInput: ({ currentTarget }: Typed) => setDraft(currentTarget.value),
    onChange: ({ currentTarget }: Typed) => {
      setDraft(undefined);
      onTake(currentTarget.value);
    },
  } as const;
}

interface Line extends Field {
  readonly class?: string;
  readonly "aria-label"?: string;
  readonly maxLength?: number;
}

/** One line. */
export function LineField({ value, onTake, ...rest }: Line) {
  return <input {...rest} {...useDraft({ value, onTake })} />;
}

/** A number; "" is none. */
export function NumberField(
  { value, onTake, ...rest }: Field & {
    readonly min: number;
    readonly step: number;
    readonly placeholder: string;
  },
) {
  return <input type="number" {...rest} {...useDraft({ value, onTake })} />;
}

/** Several lines. */
export function TextField({ value, onTake, rows }: Field & { readonly rows: number }) {
  return <textarea rows={rows} {...useDraft({ value, onTake })} />;
}
