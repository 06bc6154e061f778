/* A sum of products, term by term: written as a row of chips, and in words.
 *
 * A term is { letter, names, left, right, roles }: the letter that marks the same term in the
 * grids, the names of its two factors, their values, and the colours of what they are. A sum of
 * more terms than there are letters is written in numbers alone.
 */
"use strict";

courseFigures.sum = courseFigures.sum || (() => {
  const { factor, node, number } = courseFigures;

  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const MOST_SPOKEN = 9;

  /** The letter of term n in a sum of `all` terms. */
  function letter(n, all) {
    return all <= LETTERS.length ? LETTERS[n] : "";
  }

  function product({ left, right, roles }) {
    const [first, second] = [left, right].map((value, n) =>
      node("span", { style: `color: var(--course-${roles[n]})` }, factor(value)));
    return node("span", { class: "numbers" }, first, "\u00a0\u00b7\u00a0", second);
  }

  function chip(term) {
    const mark = term.letter ? [node("b", {}, term.letter), " "] : [];
    const names = node("span", { class: "names" }, ...mark, term.names.join(" \u00b7 "));
    return node("span", { class: "term" }, names, product(term));
  }

  /** `name` = term + term + ... = `total`, as nodes. */
  function written(name, terms, total) {
    const draw = terms.length <= LETTERS.length ? chip : product;
    const steps = terms.map((term, n) => [n ? "+ " : "= ", draw(term)]);
    steps.push(["= ", node("b", { class: "total" }, number(total))]);
    const unbroken = steps.map((parts) => node("span", { class: "unbroken" }, ...parts));
    return [node("b", {}, name), ...unbroken.flatMap((step) => [" ", step])];
  }

  /** The same in words; of a long sum only what comes out. */
  function spoken(name, terms, total) {
    const products = terms.map(({ left, right }) => `${number(left)} times ${number(right)}`);
    const short = terms.length > 0 && terms.length <= MOST_SPOKEN;
    const sum = short ? `${products.join(" plus ")}, which is ` : "";
    return `${name} is ${sum}${number(total)}.`;
  }

  return Object.freeze({ letter, spoken, written });
})();
