// Makes a page like a newer one of itself, element by element. What has the same id stays the same element, wherever
// it has moved to, so that the focus, a selection, what is typed and what is unfolded stay.

// What a person sets and the server does not know.
function own(element, name) {
  return (name === "open" && /^(DETAILS|DIALOG)$/.test(element.nodeName)) || (name === "value" && element.nodeName === "INPUT");
}

function attributes(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) {
    if (!own(old, name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!own(old, name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

function alike(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id ?? "") === (fresh.id ?? "");
}

function move(parent, node, before) {
  // Keeps the focus and what plays, where the browser can.
  if (node.isConnected && parent.moveBefore) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

function children(old, fresh) {
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.id ? document.getElementById(wanted.id) : null;
    if (known && known.nodeName === wanted.nodeName && !known.contains(old)) {
      if (known === at) at = at.nextSibling;
      else move(old, known, at);
      element(known, wanted);
    } else if (at && !at.id && alike(at, wanted)) {
      element(at, wanted);
      at = at.nextSibling;
    } else {
      old.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    // What is wanted elsewhere is taken from here when its place is come to.
    if (!(at.id && fresh.ownerDocument.getElementById(at.id))) at.remove();
    at = next;
  }
}

function element(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  // Nobody's words are taken from under their fingers.
  if (old === document.activeElement && /^(INPUT|TEXTAREA|SELECT)$/.test(old.nodeName)) return;
  if (old.dataset.own !== undefined) return;
  attributes(old, fresh);
  children(old, fresh);
}

// Makes the element with each of these ids as it is in `page`.
export function morph(page, ids) {
  const focus = document.activeElement;
  for (const id of ids) {
    const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
    if (old && fresh) element(old, fresh);
  }
  if (focus && focus.isConnected && focus !== document.activeElement) focus.focus({ preventScroll: true });
}
