"use strict";

// Everything is read from the document: which models there are, what a row has, and a row to begin with.
const PREDICT = /^\/v1\/models\/(.+):predict$/;
const MOST_FIELDS = 60; // of a row; one with more is written as JSON
const byId = (id) => document.getElementById(id);
let operations = {};
let key = ""; // kept until the page is left, and nowhere else
let chosen = "";

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// The kinds of value that a column takes: its schema, or the parts of it that are no null.
function kinds(schema) {
  return (schema.anyOf || [schema]).filter((one) => one.type !== "null").flatMap((one) => (one.anyOf ? kinds(one) : [one]));
}

function isNullable(schema) {
  return (schema.anyOf || []).some((one) => one.type === "null");
}

function describe(schema) {
  const words = kinds(schema).map((one) => (one.properties && one.properties.b64 ? "file" : one.enum ? one.enum.join(" or ") : one.description || one.type));
  return [...new Set(words)].join(" or ") + (isNullable(schema) ? ", may be missing" : "");
}

// An input for a column, and how to read it: undefined leaves the column out.
function field(name, schema, value) {
  const [kind] = kinds(schema);
  const id = `field ${name}`;
  const takesFile = kinds(schema).some((one) => one.properties && one.properties.b64);
  let input, read;
  if (takesFile && typeof value !== "string") {
    input = make("input", { id, type: "file" });
    let content = value;
    input.addEventListener("change", async () => {
      content = input.files.length ? { b64: await base64(input.files[0]) } : value;
      write();
    });
    read = () => content;
  } else if (kind.enum || kind.type === "boolean") {
    input = make("select", { id }, ...(isNullable(schema) ? [""] : []).concat(kind.enum || ["false", "true"]).map((one) => make("option", { value: one, textContent: one || "(missing)" })));
    input.value = value == null ? "" : String(value);
    read = () => (input.value === "" ? null : kind.enum ? input.value : input.value === "true");
  } else if (kind.type === "array" || kind.type === "object") {
    input = make("textarea", { id, rows: 3, spellcheck: false, value: JSON.stringify(value) });
    read = () => JSON.parse(input.value);
  } else {
    const isNumber = kind.type === "number" || kind.type === "integer";
    input = make("input", { id, type: isNumber ? "number" : "text", step: kind.type === "integer" ? "1" : "any", value: value ?? "" });
    if (isNullable(schema)) input.placeholder = "(missing)";
    read = () => (input.value === "" && (isNullable(schema) || isNumber) ? null : isNumber ? Number(input.value) : input.value);
  }
  input.addEventListener("input", write);
  const label = make("label", { htmlFor: id }, name, make("small", { textContent: describe(schema) }));
  return { name, nodes: [label, input], read };
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1] || "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

let fields = [];

function choose(name) {
  chosen = name;
  for (const button of byId("models").children) button.setAttribute("aria-current", String(button.textContent === name));
  const content = operations[name].requestBody.content["application/json"];
  const columns = Object.entries(content.schema.properties.instances.items.properties);
  const row = content.example ? content.example.instances[0] : {};
  fields = columns.length > MOST_FIELDS ? [] : columns.map(([column, schema]) => field(column, schema, row[column]));
  byId("fields").replaceChildren(...fields.flatMap((one) => one.nodes));
  byId("explain").checked = false;
  byId("explain-choice").hidden = !(operations[name].parameters || []).some((one) => one.name === "explain");
  byId("body").value = JSON.stringify({ instances: [row], ...extras() }, null, 1);
  byId("form").hidden = false;
  tell("", []);
  command();
}

function extras() {
  const properties = operations[chosen].requestBody.content["application/json"].schema.properties;
  return properties.classes ? { classes: true } : {};
}

function authorization() {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

function path() {
  return `/v1/models/${chosen}:predict${byId("explain").checked ? "?explain=true" : ""}`;
}

// What the fields say, as the request's body.
function write() {
  try {
    const row = Object.fromEntries(fields.map((one) => [one.name, one.read()]).filter(([, value]) => value !== undefined));
    byId("body").value = JSON.stringify({ instances: [row], ...extras() }, null, 1);
    command();
  } catch (error) {
    tell(`${error.message}`, [], true);
  }
}

function command() {
  let body = byId("body").value;
  try {
    body = JSON.stringify(JSON.parse(body));
  } catch {
    // as it is: the server says what is wrong with it
  }
  const quoted = body.replaceAll("'", "'\\''");
  const asked = key ? ` -H "Authorization: Bearer $KEY"` : "";
  byId("command").textContent = `curl '${location.origin}${path()}'${asked} -d '${quoted.length > 2000 ? `${quoted.slice(0, 2000)}...` : quoted}'`;
}

function tell(status, nodes, isError = false) {
  byId("status").textContent = status;
  byId("status").className = isError ? "error" : "";
  byId("told").replaceChildren(...nodes);
  byId("raw-choice").hidden = !nodes.length;
}

function shown(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(6))) : typeof value === "string" ? value : JSON.stringify(value);
}

// Names with numbers, a bar each as long as the number is of the largest.
function bars(caption, values) {
  const most = Math.max(...Object.values(values).map(Math.abs), Number.MIN_VALUE);
  const rows = Object.entries(values).slice(0, 20).map(([name, value]) =>
    make("tr", {}, make("th", { textContent: name, scope: "row" }),
      make("td", { className: "bar" }, make("meter", { min: 0, max: most, value: Math.abs(value), title: shown(value) })),
      make("td", { className: "number", textContent: shown(value) })));
  return make("table", {}, make("caption", { textContent: caption }), make("tbody", {}, ...rows));
}

function picture(value) {
  const starts = { iVBOR: "png", "/9j/": "jpeg", R0lG: "gif", UklG: "webp" };
  const [, kind] = Object.entries(starts).find(([start]) => value.b64.startsWith(start)) || [];
  return kind ? make("img", { src: `data:image/${kind};base64,${value.b64}`, alt: "the answer, a picture" }) : value.b64.slice(0, 80);
}

function told(prediction) {
  const named = prediction !== null && typeof prediction === "object" && !Array.isArray(prediction) ? prediction : { answer: prediction };
  const { classes, explanation, ...rest } = named;
  const rows = Object.entries(rest).map(([name, value]) =>
    make("tr", {}, make("th", { textContent: name, scope: "row" }),
      make("td", {}, value && value.b64 !== undefined ? picture(value) : shown(value))));
  const nodes = [make("table", {}, make("tbody", {}, ...rows))];
  if (classes) nodes.push(bars("how probable each class is", classes));
  if (explanation) nodes.push(bars(`what moved the score from ${shown(explanation.baseline_score)} to ${shown(explanation.explained)}`, explanation.attributions));
  return nodes;
}

async function ask(event) {
  event.preventDefault();
  const button = byId("form").querySelector("button");
  button.disabled = true;
  const began = performance.now();
  try {
    const response = await fetch(path(), { method: "POST", headers: { "Content-Type": "application/json", ...authorization() }, body: byId("body").value });
    const text = await response.text();
    const took = `${response.status}, ${(performance.now() - began).toFixed(0)} ms`;
    byId("raw").textContent = text;
    if (!response.ok) return tell(`${took}: ${JSON.parse(text).error}`, [], true);
    // NaN and infinity are no JSON; the server writes them as TF Serving does.
    const answer = JSON.parse(text.replace(/(?<=[[,:]\s?)(-?Infinity|NaN)(?=\s?[\],}])/g, '"$1"'));
    tell(took, answer.predictions.flatMap(told));
  } catch (error) {
    tell(String(error), [], true);
  } finally {
    button.disabled = false;
  }
}

async function start() {
  const response = await fetch("/openapi.json", { headers: authorization() });
  byId("key-form").hidden = response.status !== 401;
  const found = await response.json();
  if (!response.ok) return tell(found.error, [], true);
  for (const [place, item] of Object.entries(found.paths)) {
    const match = PREDICT.exec(place);
    if (match) operations[match[1]] = item.post;
  }
  const names = Object.keys(operations);
  byId("models").replaceChildren(...names.map((name) => make("button", { type: "button", textContent: name, onclick: () => choose(name) })));
  byId("nothing").hidden = names.length > 0;
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (names.length) choose(names.includes(wanted) ? wanted : names[0]);
}

byId("form").addEventListener("submit", ask);
byId("body").addEventListener("input", command);
byId("explain").addEventListener("change", command);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("key").value.trim();
  start();
});
start();
