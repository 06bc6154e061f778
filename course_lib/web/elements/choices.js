/* A choice among a few, as radio buttons under a legend. Tab reaches the chosen one, the arrow keys
 * choose another.
 *
 * An option is { value, text } or { value, text, face }: a `face` is what stands in the place of
 * the round button, such as a small picture, and the text is then its name, unseen.
 */
"use strict";

courseFigures.choices = courseFigures.choices || (() => {
  const { node } = courseFigures;

  /** `onchoose(value)` hears of choices; the element comes with `boxes`, label by value. */
  return ({ legend, name, options, value, onchoose }) => {
    const boxes = new Map();
    for (const option of options) {
      const input = node("input", { type: "radio", name, value: option.value,
        checked: option.value === value, onchange: () => onchoose(option.value) });
      const words = option.face
        ? [option.face, node("span", { class: "unseen" }, option.text)]
        : [node("span", {}, option.text)];
      boxes.set(option.value, node("label", { class: option.face ? "choice faced" : "choice" },
        input, ...words));
    }
    const element = node("fieldset", { class: "choices" }, node("legend", {}, legend),
      ...boxes.values());
    return { element, boxes };
  };
})();
