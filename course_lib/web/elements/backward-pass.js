/* <course-backward-pass>: reverse mode on a graph, node by node.
 *
 * Each node in turn hands gradient times local derivative to its operands, where it adds up.
 * Buttons, a slider, or the arrow keys on them step. Choose a node by click, tap or arrow keys,
 * and predict its gradient: an answer that is wrong gets the terms that it should add up.
 */
"use strict";

courseFigures.define("course-backward-pass", (course) => {
  const { factor, Figure, node, number, shape, slider } = course;

  const PORT = 28;  // pixels between the places where two operands arrive
  const CLOSE = 0.01;  // relative error of an answer that passes
  const LONGEST = 12;  // characters that fit into a node
  const LETTER = 7.5;  // pixels, at most, of a digit beside an edge
  const SCALE = { least: 0.8, most: 1.1 };  // of the drawing, as there is room
  const four = (value) => number(value, 4);
  const product = ({ left, right }) => `${factor(left, 4)} \u00b7 ${factor(right, 4)}`;
  const amount = (term) => term.left * term.right;
  const total = (terms) => terms.reduce((sum, term) => sum + amount(term), 0);
  const gained = (value) => `${value < 0 ? "" : "+"}${four(value)}`;
  const added = (numbers) => numbers.map((n, i) => (i ? factor(n, 4) : four(n))).join(" + ");

  /** The whole pass: for each node the terms of its gradient, and at which step each arrives. */
  class Pass {
    constructor({ nodes, outputs }) {
      this.terms = nodes.map(() => []);
      for (const i of outputs) this.terms[i].push({ left: 1, right: 1, step: 1 });
      this.turns = nodes.map((_, i) => i).filter((i) => nodes[i].kind === "operation").reverse();
      this.steps = 1 + this.turns.length;
      this.turns.forEach((i, turn) => {
        const left = this.gradient(i);
        nodes[i].partials.forEach((right, operand) => {
          if (right === null) return;
          const term = { from: i, operand, left, right, step: turn + 2 };
          this.terms[nodes[i].operands[operand]].push(term);
        });
      });
    }

    gradient(i) {
      return total(this.terms[i]);
    }

    /** The node whose turn it is. */
    turn(step) {
      return this.turns[step - 2];
    }

    arrived(i, step) {
      return this.terms[i].filter((term) => term.step <= step);
    }

    isKnown(i, step) {
      return step > 0 && this.arrived(i, step).length === this.terms[i].length;
    }
  }

  return class extends Figure {
    label = "Backward pass on a graph, node by node";
    sheets = ["backward-pass"];

    build({ graphs, node: size }) {
      Object.assign(this, { graphs, size });
      const options = Object.keys(graphs).map((name) => node("option", {}, name));
      this.select = node("select", { id: "graph", onchange: () => this.open(true) }, ...options);
      const button = (text, onclick) => node("button", { type: "button", onclick }, text);
      this.back = button("Previous", () => this.go(this.step - 1));
      this.next = button("Next", () => this.go(this.step + 1));
      this.slider = slider({ label: "step", min: 0, max: 1, value: 0,
        onmove: (step) => this.go(step), words: (step) => `${step} of ${this.pass?.steps}` });
      this.drawing = node("div", { class: "drawing" });
      this.explanation = node("p", { class: "explanation" });
      this.stage.append(
        node("div", { class: "controls" }, node("label", { for: "graph" }, "graph"), this.select),
        node("div", { class: "pass" }, this.drawing,
          node("div", { class: "panel" },
            node("div", { class: "controls", onkeydown: (event) => this.key(event) },
              this.back, this.next, button("Reset", () => this.reset()), this.slider.element),
            this.explanation, this.question())));
      this.open();
    }

    /** The form in which the reader predicts a gradient. */
    question() {
      this.asking = node("label", { for: "answer" });
      this.answer = node("input", { id: "answer", autocomplete: "off", size: 8 });
      this.form = node("form", { onsubmit: (event) => this.check(event) }, this.asking,
        node("div", { class: "answer" }, this.answer, node("button", {}, "Check")));
      this.verdict = node("p", { class: "verdict" });
      return node("div", { class: "question" }, this.form, this.verdict);
    }

    /** Take the chosen graph, and begin. */
    open(spoken = false) {
      this.graph = this.graphs[this.select.value];
      this.pass = new Pass(this.graph);
      this.slider.input.max = this.pass.steps;
      this.drawing.replaceChildren(this.draw());
      this.reset(spoken);
    }

    reset(spoken = true) {
      this.solved = new Set();
      this.pick(null);
      if (spoken) this.go(0);
      else this.paint(0);
    }

    /** The graph as a drawing: arguments above, results below, constants in the formulas. */
    draw() {
      const { nodes, size: [all, height], edges } = this.graph;
      this.edges = edges.map((edge) => this.edge(edge));
      const left = Math.min(-3, ...this.edges.map(({ reach: [from] }) => from));
      const width = Math.max(all + 3, ...this.edges.map(({ reach: [, to] }) => to)) - left;
      this.boxes = nodes.map((one, i) => (one.kind === "constant" ? null : this.box(i)));
      this.shown = nodes.map((_, i) => i).filter((i) => this.boxes[i]);
      return shape("svg", { role: "listbox", "aria-label": "Nodes of the graph",
        viewBox: `${left} -3 ${width} ${height + 6}`,
        width: SCALE.most * width, style: `min-width: ${SCALE.least * width}px`,
        onkeydown: (event) => this.walk(event) },
      shape("g", { "aria-hidden": "true" }, ...this.edges.map(({ line }) => line),
        ...this.edges.map(({ label }) => label)),
      ...this.shown.map((i) => this.boxes[i].element));
    }

    box(i) {
      const { places, outputs, nodes } = this.graph;
      const { width, height } = this.size;
      const [x, y] = places[i];
      const { symbol, formula, value, kind } = nodes[i];
      const line = (words, n, name) => this.fit(shape("text", { class: name, x,
        y: y + 15.5 * n + (formula ? 16 : 24), lengthAdjust: "spacingAndGlyphs" }), words);
      const gradient = line("", formula ? 2 : 1, "gradient");
      const role = outputs.includes(i) ? "output" : kind;
      const element = shape("g", { role: "option", class: `node ${role}`, tabindex: -1,
        onfocus: () => this.ask(i), onclick: (event) => this.point(i, event) },
      shape("rect", { x: x - width / 2, y, width, height, rx: 7 }),
      line(`${symbol} = ${four(value)}`, 0, "value"),
      ...(formula ? [line(formula, 1, "formula")] : []), gradient);
      return { element, gradient };
    }

    /** Write words into a line of a node, squeezed where they are too long for it. */
    fit(line, words) {
      line.textContent = words;
      if (words.length > LONGEST) line.setAttribute("textLength", this.size.width - 8);
      else line.removeAttribute("textLength");
      return line;
    }

    /** An edge with a tip at each end, of which one shows, and its local derivative beside it. */
    edge({ node: target, operand, bends }) {
      const { nodes, places } = this.graph;
      const { operands, partials } = nodes[target];
      const { height } = this.size;
      const source = operands[operand];
      const drawn = partials.flatMap((partial, k) => (partial === null ? [] : [k]));
      const side = drawn.indexOf(operand) - (drawn.length - 1) / 2;
      const twin = operands.filter((other) => other === source).length > 1;
      const [from, to] = [places[source], places[target]];
      const points = [[from[0] + (twin ? side * PORT : 0), from[1] + height],
        ...bends.flatMap(([x, y]) => [[x, y], [x, y + height]]), [to[0] + side * PORT, to[1]]];
      const [[sx, sy], [ex, ey]] = [points[0], points.at(-1)];
      const path = points.slice(1).reduce((drawn, [x, y], n) => {
        const middle = (y + points[n][1]) / 2;
        return `${drawn}C${points[n][0]} ${middle} ${x} ${middle} ${x} ${y}`;
      }, `M${sx} ${sy}`);
      const terms = this.pass.terms[source];
      const at = terms.findIndex((term) => term.from === target && term.operand === operand);
      const words = [four(partials[operand]), gained(amount(terms[at]))];
      const x = ex + (side < 0 ? -7 : 7);
      const [local, handed] = words.map((text, n) => shape("text", { x, y: ey - 21 + 15 * n,
        class: ["local", "handed"][n], "text-anchor": side < 0 ? "end" : "start" }, text));
      const long = LETTER * Math.max(...words.map(({ length }) => length));
      const line = shape("g", { class: "edge" },
        shape("path", { d: path, pathLength: 1, class: "line" }),
        shape("path", { d: `M${ex} ${ey}l-4 -8h8z`, class: "there" }),
        shape("path", { d: `M${sx} ${sy}l-5 9h10z`, class: "back" }));
      const label = shape("g", { class: "edge" }, local, handed);
      const reach = side < 0 ? [x - long, x] : [x, x + long];
      return { line, label, reach, source, target, term: terms[at], before: terms.slice(0, at) };
    }

    go(step) {
      this.paint(Math.min(Math.max(step, 0), this.pass.steps));
      this.boxes[this.pass.turn(this.step)]?.element.scrollIntoView({ block: "nearest" });
      this.say(`Step ${this.step} of ${this.pass.steps}. ${this.explanation.textContent}`);
    }

    paint(step) {
      this.step = step;
      const turn = this.pass.turn(step);
      for (const i of this.shown) this.paintNode(i, i === turn);
      for (const { line, label, target } of this.edges) {
        for (const part of [line, label]) part.classList.toggle("turn", target === turn);
      }
      this.explanation.textContent = this.words(step, turn);
      if (this.asked !== null) this.ask(this.asked);
      this.slider.show(step);
      // Not `disabled`: that would take the focus from whoever steps by keyboard.
      this.back.setAttribute("aria-disabled", step === 0);
      this.next.setAttribute("aria-disabled", step === this.pass.steps);
    }

    /** Write into a node what of its gradient has arrived. */
    paintNode(i, inTurn) {
      const { pass, step } = this;
      const { element, gradient } = this.boxes[i];
      const arrived = pass.arrived(i, step);
      const known = this.isOpen(i);
      const missing = pass.terms[i].length - arrived.length;
      const sum = four(known ? pass.gradient(i) : total(arrived));
      const some = known || arrived.length > 0;
      this.fit(gradient, some ? `\u2202 ${sum}${known ? "" : " + \u2026"}` : "");
      element.classList.toggle("turn", inTurn);
      element.classList.toggle("solved", this.solved.has(i));
      const state = known ? `gradient ${sum}`
        : some ? `gradient so far ${sum}, ${missing} more to come` : "gradient not known yet";
      element.setAttribute("aria-label", `${this.named(i)}, value ` +
        `${four(this.graph.nodes[i].value)}, ${state}${inTurn ? ", in turn" : ""}`);
    }

    named(i) {
      const { symbol, formula } = this.graph.nodes[i];
      return formula ? `${symbol} = ${formula}` : symbol;
    }

    /** Whether the drawing shows the gradient: it has arrived in full, or was predicted. */
    isOpen(i) {
      return this.solved.has(i) || this.pass.isKnown(i, this.step);
    }

    words(step, turn) {
      const { nodes, outputs } = this.graph;
      const results = outputs.map((i) => nodes[i].symbol).join(" and ");
      if (step === 0) return "The values are there, and beside each edge its local derivative.";
      if (step === 1) return `Begin at the end: the gradient of ${results} is 1.`;
      const handed = this.edges.filter(({ target }) => target === turn).map(this.arrival, this);
      const last = step === this.pass.steps ? ` ${this.result()}` : "";
      return `${nodes[turn].symbol} has gradient ${four(this.pass.gradient(turn))} and hands ` +
        `back ${handed.join("; ")}.${last}`;
    }

    /** "1 · 6 = 6 to v3, together 1 + 6 = 7". */
    arrival({ source, term, before }) {
      const gain = amount(term);
      const sum = before.length
        ? `, together ${added([total(before), gain])} = ${four(total(before) + gain)}` : "";
      return `${product(term)} = ${four(gain)} to ${this.graph.nodes[source].symbol}${sum}`;
    }

    result() {
      const inputs = this.shown.filter((i) => this.graph.nodes[i].kind === "input");
      const gradients = inputs.map((i) =>
        `${this.graph.nodes[i].symbol} ${four(this.pass.gradient(i))}`);
      return `The gradients of the inputs: ${gradients.join(", ")}.`;
    }

    /** Choose a node, or none. */
    pick(i) {
      this.asked = i;
      this.shown.forEach((j, n) => {
        const { element } = this.boxes[j];
        element.setAttribute("aria-selected", j === i);
        element.setAttribute("tabindex", j === i || (i === null && n === 0) ? 0 : -1);
      });
      this.form.hidden = true;
      this.answer.value = "";
      this.verdict.className = "verdict";
      this.verdict.textContent = "Choose a node, and predict its gradient.";
    }

    /** Ask for the gradient of a node, or explain it where it shows already. */
    ask(i) {
      if (this.asked !== i) this.pick(i);
      const isOpen = this.isOpen(i);
      this.form.hidden = isOpen;
      this.asking.textContent = `Predict the gradient of ${this.named(i)}:`;
      if (isOpen && !this.solved.has(i)) this.verdict.className = "verdict";
      if (this.verdict.className !== "verdict") return;
      this.verdict.textContent = isOpen ? this.sum(i) : "";
    }

    /** A click or tap asks. A touch does not open the keyboard, which would hide the drawing. */
    point(i, { pointerType }) {
      this.ask(i);
      if (this.isOpen(i)) this.say(this.sum(i));
      else if (pointerType !== "touch") this.answer.focus({ preventScroll: true });
      this.verdict.parentElement.scrollIntoView({ block: "nearest" });
    }

    /** "The gradient of v3 is 1 · 1 + 1 · 6 = 7." */
    sum(i) {
      const terms = this.pass.terms[i];
      const written = terms.map((term) => (term.from === undefined ? "1" : product(term)));
      const equal = terms.length ? `${written.join(" + ")} = ` : "";
      return `The gradient of ${this.graph.nodes[i].symbol} is ` +
        `${terms.length === 1 && terms[0].from === undefined ? "" : equal}` +
        `${four(this.pass.gradient(i))}.`;
    }

    check(event) {
      event.preventDefault();
      const i = this.asked;
      const text = this.answer.value.trim().replace("\u2212", "-").replace(",", ".");
      const answer = Number(text);
      if (!text || Number.isNaN(answer)) {
        this.judge("", "Type a number, such as \u22120.5.");
        return;
      }
      const right = this.pass.gradient(i);
      if (Math.abs(answer - right) <= CLOSE * Math.abs(right) + 1e-9) {
        this.solved.add(i);
        this.paint(this.step);
        this.judge("right", `Right. ${this.sum(i)}`);
        this.boxes[i].element.focus();  // the form is gone
      } else {
        this.judge("wrong", `Not ${four(answer)}. ${this.hint(i, answer)}`);
      }
    }

    judge(name, words) {
      this.verdict.className = `verdict ${name}`;
      this.verdict.textContent = words;
      this.say(words);
    }

    /** What to add up: each user's gradient times the local derivative on the edge to it. */
    hint(i, answer) {
      const terms = this.pass.terms[i];
      if (!terms.length) return "The result does not depend on it.";
      const one = terms.length > 1 && terms.find((term) => Math.abs(amount(term) - answer) <= 1e-3);
      const told = terms.map((term) => (term.from === undefined ? "1, as a result"
        : `${product(term)} from ${this.graph.nodes[term.from].symbol}`));
      const partly = one ? "That is one part of it. " : "";
      return `${partly}${terms.length > 1 ? "Add" : "It gets"} ${told.join(", ")}.`;
    }

    /** The arrow keys do on the buttons what they do on the slider. */
    key(event) {
      const { step, pass: { steps } } = this;
      const target = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: steps }[event.key];
      if (target === undefined || event.target === this.slider.input) return;
      event.preventDefault();
      this.go(target);
    }

    /** In the drawing the arrow keys go from node to node; Enter goes to the answer. */
    walk(event) {
      const last = this.shown.length - 1;
      const at = this.shown.indexOf(this.asked);
      if (event.key === "Enter" && !this.form.hidden) {
        event.preventDefault();
        this.answer.focus();
        return;
      }
      const target = { ArrowUp: at - 1, ArrowLeft: at - 1, ArrowDown: at + 1, ArrowRight: at + 1,
        Home: 0, End: last }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      this.boxes[this.shown[Math.min(Math.max(target, 0), last)]].element.focus();
    }
  };
});
