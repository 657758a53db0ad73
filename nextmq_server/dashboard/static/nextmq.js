// What pages do beyond HTML. Every page can be read without it.
const once = /^#once=([\w-]+)$/.exec(location.hash);
const form = document.querySelector("#once");
if (once && form) {
  history.replaceState(null, "", location.pathname); // the word must not stay in the history
  form.elements.once.value = once[1];
  form.submit();
}

// Live rows. The stream opens again by itself after it was cut.
const place = document.querySelector("[data-live]");
const sign = document.querySelector(".live");

function say(words, tone) {
  sign.textContent = words;
  sign.className = `live ${tone}`;
}

function parsed(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content;
}

function swap(old, html) {
  const row = parsed(html).firstElementChild;
  const strip = old.querySelector("svg.sp");
  if (strip) row.querySelector(".g").replaceChildren(strip.cloneNode(true)); // it is drawn with the page
  if (row.isEqualNode(old)) return;
  if (old.contains(document.activeElement)) {
    const links = [...old.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    old.replaceWith(row);
    row.querySelectorAll("a")[at]?.focus(); // the focus must not be lost
  } else old.replaceWith(row);
}

if (place) {
  const events = new EventSource(place.dataset.live);
  say("connecting…", "warn");
  events.onopen = () => say("live", "");
  events.onerror = () => say("reconnecting…", "warn");
  events.addEventListener("gone", () => say("Redis does not answer, trying", "bad"));
  events.addEventListener("reload", () => location.reload());
  events.addEventListener("rows", (event) => {
    const news = JSON.parse(event.data);
    say("live", "");
    if (place.localName !== "table") {
      if (news.queues) location.reload(); // the first queue is there
      return;
    }
    for (const [name, html] of Object.entries(news.rows)) {
      const old = document.querySelector(`tr[data-q="${CSS.escape(name)}"]`);
      if (old) swap(old, html);
    }
    const table = document.querySelector("#attention");
    const body = parsed(`<table><tbody>${news.attentionRows}</tbody></table>`).querySelector("tbody");
    if (!table.contains(document.activeElement)) table.tBodies[0].replaceWith(body);
    document.querySelector("#attention-count").textContent = news.attention;
    table.hidden = !news.attention;
  });
}

// Keys: / goes to the filter.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || /INPUT|TEXTAREA|SELECT/.test(event.target.nodeName)) return;
  const field = document.querySelector("[type=search]");
  if (field) {
    event.preventDefault();
    field.focus();
  }
});
