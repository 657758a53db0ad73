// What pages do beyond HTML. Every page can be read without it.
const once = /^#once=([\w-]+)$/.exec(location.hash);
const form = document.querySelector("#once");
if (once && form) {
  history.replaceState(null, "", location.pathname); // the word must not stay in the history
  form.elements.once.value = once[1];
  form.submit();
}
