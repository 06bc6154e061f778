/* <course-quiz>: a few questions to check oneself; every option has its own explanation.
 *
 * Choose an option, then "Check": the explanation of that option appears, and one may choose
 * again. The score counts what is right now, and what was right at the first try.
 */
"use strict";

courseFigures.define("course-quiz", ({ Figure, node }) => {
  /** Nodes of a text in which backquotes mark code. */
  function inline(text) {
    return text.trim().split("`").map((piece, n) => (n % 2 ? node("code", {}, piece) : piece));
  }

  return class extends Figure {
    label = "Quiz";
    sheets = ["quiz"];

    build({ title, questions }) {
      this.states = questions.map(() => ({ tries: 0, right: false, first: false }));
      this.score = node("p", { class: "score", role: "status" });
      this.stage.append(
        node("p", { class: "title" }, ...inline(title)),
        node("ol", {}, ...questions.map((question, n) => this.question(question, n))),
        this.score,
      );
      this.count();
    }

    question({ ask, options }, n) {
      const why = node("p", { class: "why", role: "status" });
      const labels = options.map((option, k) => this.option(option, n, k));
      const check = () => this.check(n, options, labels, why);
      const form = node("form", { onsubmit: (event) => { event.preventDefault(); check(); } },
        node("fieldset", { onchange: () => this.forget(labels, why) },
          node("legend", {}, node("b", {}, `${n + 1}.`), " ", ...inline(ask)),
          ...labels),
        node("button", { type: "submit", "aria-label": `Check question ${n + 1}` }, "Check"),
        why);
      return node("li", {}, form);
    }

    option({ text }, n, k) {
      const radio = node("input", { type: "radio", name: `question-${n}`, value: k });
      return node("label", { class: "option" }, radio, node("span", {}, ...inline(text)));
    }

    check(n, options, labels, why) {
      this.forget(labels, why);
      const chosen = labels.findIndex((label) => label.querySelector("input").checked);
      if (chosen < 0) {
        why.textContent = "Choose an option first.";
        return;
      }
      const { right, why: explanation } = options[chosen];
      const verdict = right ? "right" : "wrong";
      labels[chosen].classList.add(verdict);
      why.classList.add(verdict);
      why.append(node("strong", {}, right ? "Right. " : "Not yet. "), ...inline(explanation));
      const state = this.states[n];
      state.tries += 1;
      state.right = right;
      state.first = state.first || (right && state.tries === 1);
      this.count();
    }

    /** Take back the verdict, once another option is chosen. */
    forget(labels, why) {
      for (const element of [...labels, why]) element.classList.remove("right", "wrong");
      why.textContent = "";
    }

    count() {
      const of = (key) => this.states.filter((state) => state[key]).length;
      const right = `${of("right")} of ${this.states.length} right`;
      this.score.textContent = `Score: ${right}, ${of("first")} at the first try.`;
    }
  };
});
