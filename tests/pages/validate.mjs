// html-validate as a filter: one JSON string of HTML a line comes in, one JSON list of findings a line goes out.
import { createInterface } from "node:readline";
import { HtmlValidate } from "html-validate";

const validator = new HtmlValidate({
  root: true,
  extends: ["html-validate:recommended", "html-validate:document"],
  rules: {
    // How the source looks is the templates' affair; what it means is what is measured here.
    "no-trailing-whitespace": "off",
    "attr-quotes": "off",
    "doctype-style": "off",
    "void-style": "off",
    "long-title": "off", // Titles name people, whose names have any length.
    // Macros write `selected`, WTForms writes `required` with the same meaning in both spellings of HTML.
    "attribute-boolean-style": "off",
    "attribute-empty-style": "off",
    // Telephone numbers are typed and shown in many ways; none of ours is glued by hand.
    "tel-non-breaking": "off",
    // Its remedy is crossorigin and integrity; our own files come from our own host with their hash in the address.
    "require-sri": "off",
    // Boxes to tick that answer one question share its name.
    "form-dup-name": ["error", { shared: ["radio", "button", "reset", "submit", "checkbox"] }],
  },
});

for await (const line of createInterface({ input: process.stdin })) {
  const { results } = await validator.validateString(JSON.parse(line));
  const found = results.flatMap(({ messages }) =>
    messages.map(({ ruleId, message, line, column }) => `${ruleId}: ${message} (${line}:${column})`));
  process.stdout.write(`${JSON.stringify(found)}\n`);
}
