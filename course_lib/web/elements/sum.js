/* A sum of products, term by term: written as a row of chips, and in words.
 *
 * A term is { letter, names, left, right, roles }: the letter that marks the same term in the
 * grids, the names of its two factors, their values, and the colours of what they are.
 */
"use strict";

courseFigures.sum = courseFigures.sum || (() => {
  const { node, number } = courseFigures;

  /** A number inside a product: 2, but (−4). */
  function factor(value) {
    return value < 0 ? `(${number(value)})` : number(value);
  }

  function chip({ letter, names, left, right, roles }) {
    const colored = (value, role) => node("span", { style: `color: var(--course-${role})` }, factor(value));
    return node("span", { class: "term" },
      node("span", { class: "names" }, ...(letter ? [node("b", {}, letter), " "] : []), names.join(" \u00b7 ")),
      node("span", { class: "numbers" }, colored(left, roles[0]), " \u00b7 ", colored(right, roles[1])));
  }

  /** `name` = term + term + ... = `total`, as nodes. */
  function written(name, terms, total) {
    const chips = terms.flatMap((term, n) => [n ? " + " : " = ", chip(term)]);
    return [node("b", {}, name), ...chips, " = ", node("b", { class: "total" }, number(total))];
  }

  /** The same in words; of a long sum only what comes out. */
  function spoken(name, terms, total, most = 9) {
    const products = terms.map(({ left, right }) => `${number(left)} times ${number(right)}`);
    const sum = terms.length && terms.length <= most ? `${products.join(" plus ")}, which is ` : "";
    return `${name} is ${sum}${number(total)}.`;
  }

  return Object.freeze({ spoken, written });
})();
