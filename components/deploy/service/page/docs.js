// The API's documentation, made of the service's own description of itself (openapi.json).

import { make } from "./answers.js";

const ORIGIN = new URL(".", document.baseURI).href.replace(/\/$/, "");

async function start() {
  const api = await (await fetch("openapi.json")).json();
  const article = document.getElementById("article");
  const contents = document.getElementById("contents");
  for (const paragraph of api.info.description.split("\n\n")) article.append(make("p", "", ...withCode(paragraph)));
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      const tag = route.tags[0];
      groups.set(tag, [...(groups.get(tag) ?? []), { path, method, route }]);
    }
  }
  for (const [tag, routes] of groups) {
    article.append(make("h2", "", tag));
    contents.append(make("h2", "", tag));
    for (const entry of routes) {
      const section = makeRoute(entry, api);
      article.append(section);
      contents.append(Object.assign(make("a", "", entry.path), { href: `#${section.id}` }));
    }
  }
  const [first] = groups.values();
  article.append(makeProblems(first[0].route));
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function makeRoute({ path, method, route }, api) {
  const section = make("section", "route");
  section.id = `${method}-${path.replace(/\W+/g, "-").replace(/^-|-$/g, "")}`;
  section.append(make("h3", "", make("span", `method ${method}`, method.toUpperCase()), make("code", "", path)));
  section.append(make("p", "", route.summary));
  const form = route.requestBody?.content["multipart/form-data"]?.schema;
  if (form) section.append(makeFields(form), ...makeExample(formExample(path, form)));
  const json = route.requestBody?.content["application/json"]?.example;
  if (json) section.append(...makeExample(jsonExample(path, json)));
  const shape = resolve(route.responses["200"]?.content?.["application/json"]?.schema, api);
  if (shape?.properties) section.append(make("h4", "", "Answer"), makeFields(shape, api));
  return section;
}

/** What every operation may answer instead of a result. */
function makeProblems(route) {
  const known = Object.entries(route.responses).filter(([status]) => status !== "200" && status !== "422");
  const table = rows(known.map(([status, answer]) => [status, answer.description]));
  return make("section", "route", make("h3", "", "Problems"), table);
}

function makeExample(command) {
  return [make("h4", "", "For example"), make("pre", "", command)];
}

function makeFields(schema, api) {
  const required = schema.required ?? [];
  return rows(Object.entries(schema.properties).map(([name, field]) => {
    const optional = api || required.includes(name) ? "" : "optional. ";
    const inner = resolve(field.items ?? field, api);
    const fields = api && inner?.properties ? `${field.items ? "a list of " : ""}{ ${Object.keys(inner.properties).join(", ")} }` : "";
    return [name, optional + (field.description ?? inner?.description ?? ""), fields];
  }));
}

function rows(entries) {
  return make("table", "", ...entries.map(([name, about, more]) => make(
    "tr", "", make("td", "", make("code", "", name)), make("td", "", ...withCode(about), ...(more ? [" ", make("code", "", more)] : [])),
  )));
}

function formExample(path, form) {
  const texts = Object.entries(form.properties).filter(([, field]) => field.example);
  const picture = form.properties.image ? ["-F image=@picture.jpg"] : [];
  const parts = [...picture, ...texts.map(([name, field]) => `-F ${name}="${field.example}"`)];
  return `curl ${parts.join(" ")} ${ORIGIN}${path}`;
}

function jsonExample(path, body) {
  const json = JSON.stringify(body, null, 2);
  return `curl -H "Content-Type: application/json" ${ORIGIN}${path.replace("{model}", "ofa")} -d '${json}'`;
}

function resolve(schema, api) {
  const name = schema?.$ref?.split("/").pop();
  return name && api ? api.components.schemas[name] : schema;
}

/** Text with `words` as code. */
function withCode(text) {
  return text.split("`").map((part, number) => (number % 2 ? make("code", "", part) : part));
}

start();
