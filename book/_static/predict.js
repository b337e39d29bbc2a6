// Predict, then reveal: adds the form to each .predict block, keeps the reader's guess in this browser only. The form comes
// when the block is near: browsers that fill in forms lay out a page as far as it has some.
(function () {
  "use strict";

  const parse = (text) => {
    const plain = text.trim().replace(/[\s_]/g, "");
    const grouped = /^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(plain);
    const number = Number(grouped ? plain.replace(/,/g, "") : plain.replace(",", "."));
    return plain === "" || !Number.isFinite(number) ? null : number;
  };

  const show = (number) => (Math.abs(number) >= 1e15 ? String(number) : number.toLocaleString("en", { maximumSignificantDigits: 6 }));

  // In words: how far a guess is from the answer, as a factor where a factor means something.
  const distance = (guess, answer) => {
    if (guess === answer) return "exactly right.";
    if (answer !== 0 && guess / answer > 0) {
      const factor = guess / answer;
      const off = Math.abs(factor - 1) * 100;
      if (off <= 10) return `within ${Math.max(1, Math.ceil(off))} %.`;
      if (factor >= 2) return `${show(Number(factor.toPrecision(2)))} times too high.`;
      if (factor <= 0.5) return `${show(Number((1 / factor).toPrecision(2)))} times too low.`;
      return `${Math.round(off)} % too ${factor > 1 ? "high" : "low"}.`;
    }
    return `off by ${show(Math.abs(guess - answer))}.`;
  };

  const store = {
    get(key) { try { return localStorage.getItem(key); } catch (error) { return null; } },
    set(key, value) { try { localStorage.setItem(key, value); } catch (error) { /* private window: not kept */ } },
    drop(key) { try { localStorage.removeItem(key); } catch (error) { /* nothing was kept */ } },
  };

  const make = (tag, properties, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };

  function setUp(block) {
    const { answer, unit = "", choices } = block.dataset;
    const key = `predict:${block.id}`;
    const reveal = block.querySelector(".predict-answer");
    const verdict = make("p", { className: "predict-verdict" });
    verdict.setAttribute("role", "status");
    const form = make("form", { noValidate: true });
    let read;

    if (choices) {
      const group = make("fieldset", {}, make("legend", { textContent: "Your choice" }));
      for (const choice of choices.split("|")) {
        const radio = make("input", { type: "radio", name: block.id, value: choice });
        group.append(make("label", {}, radio, ` ${choice}`));
      }
      form.append(group);
      read = () => form.querySelector("input:checked")?.value ?? null;
    } else {
      const input = make("input", { type: "text", inputMode: "decimal", autocomplete: "off", id: `${block.id}-i` });
      form.append(make("label", { htmlFor: input.id, textContent: unit ? `Your number, in ${unit}` : "Your number" }), input);
      read = () => (parse(input.value) === null ? null : input.value.trim());
    }
    const skip = make("button", { type: "button", textContent: "Show without guessing" });
    form.append(make("button", { type: "submit", textContent: "Check my answer" }), skip);

    const finish = (guess) => {
      form.hidden = true;
      reveal.hidden = false;
      reveal.open = true;
      if (guess === "") verdict.textContent = "";
      else if (choices) verdict.textContent = guess === answer ? `You chose ${guess}: right.` : `You chose ${guess}. The answer is ${answer}.`;
      else verdict.textContent = `You said ${guess} ${unit}`.trim() + ": " + distance(parse(guess), parse(answer));
      again.hidden = false;
    };
    const again = make("button", { type: "button", textContent: "Ask me again", hidden: true });
    again.addEventListener("click", () => {
      store.drop(key);
      form.reset();
      verdict.textContent = "";
      form.hidden = false;
      reveal.hidden = true;
      reveal.open = false;
      again.hidden = true;
      form.querySelector("input").focus();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const guess = read();
      if (guess === null) {
        verdict.textContent = choices ? "Choose one first." : "Type a number first, for example 12.5 or 3e9.";
        return;
      }
      store.set(key, guess);
      finish(guess);
      reveal.querySelector("summary").focus();
    });
    skip.addEventListener("click", () => {
      finish("");
      reveal.querySelector("summary").focus();
    });

    reveal.before(form, verdict);
    reveal.after(again);
    const kept = store.get(key);
    if (kept !== null) finish(kept);
  }

  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      target.querySelector(".predict-room").remove();
      setUp(target);
    }
  }, { rootMargin: "1200px 0px" });
  for (const block of document.querySelectorAll(".predict")) {
    const reveal = block.querySelector(".predict-answer"), room = make("div", { className: "predict-room" });
    room.style.height = `${block.dataset.choices ? 3 + 2 * block.dataset.choices.split("|").length : 4}rem`;
    reveal.hidden = true;
    reveal.before(room);
    near.observe(block);
  }
})();
