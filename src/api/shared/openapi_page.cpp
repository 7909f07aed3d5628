#include "api/shared/openapi.h"

namespace berth::api {

std::string_view api_page() {
  return R"page(<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>API</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--accent:#0a7d6c}
body{font:15px/1.55 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2rem;border-bottom:1px solid var(--line)}details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0}
summary{cursor:pointer;padding:.5rem .75rem;display:flex;gap:.75rem;align-items:baseline;flex-wrap:wrap}
.method{font-weight:700;color:var(--accent);min-width:4.5rem}code{font-family:ui-monospace,Menlo,Consolas,monospace}
.grey{opacity:.7;font-size:.9em}pre{background:var(--soft);padding:.75rem;border-radius:6px;overflow:auto}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);text-align:left;padding:.25rem .5rem;vertical-align:top}
.body{padding:0 .75rem .75rem}
</style></head><body><h1 id="title"></h1><p class="grey"><a href="openapi.json">openapi.json</a></p><div id="api"></div>
<script src="docs.js"></script></body></html>
)page";
}

std::string_view api_page_script() {
  return R"script("use strict";
const element = (tag, text, className) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};
const table = (rows) => {
  const made = element("table");
  for (const cells of rows) {
    const row = element("tr");
    for (const cell of cells) row.append(element("td", cell));
    made.append(row);
  }
  return made;
};
const json = (value) => element("pre", JSON.stringify(value, null, 2));
const resolve = (api, schema, depth) => {
  if (!schema || depth > 6) return schema;
  if (schema.$ref) return resolve(api, api.components.schemas[schema.$ref.split("/").pop()], depth + 1);
  if (schema.items) return [resolve(api, schema.items, depth + 1)];
  if (!schema.properties) return [schema.type, schema.format, schema.enum && schema.enum.join("|")]
      .flat().filter(Boolean).join(" ");
  return Object.fromEntries(Object.entries(schema.properties)
      .map(([name, property]) => [name, resolve(api, property, depth + 1)]));
};
const show = (api, path, method, operation) => {
  const box = element("details");
  const head = element("summary");
  head.append(element("span", operation["x-websocket"] ? "WS" : method.toUpperCase(), "method"),
              element("code", path), element("span", operation.summary, "grey"));
  const body = element("div", undefined, "body");
  body.append(element("p", operation["x-permission"], "grey"));
  const parameters = (operation.parameters || [])
      .map((p) => [p.name, p.in, p.required ? "*" : "", p.description || "", JSON.stringify(p.schema)]);
  if (parameters.length) body.append(table(parameters));
  const request = operation.requestBody;
  if (request) body.append(element("h4", "→"), json(resolve(api, request.content["application/json"].schema, 0)));
  const answer = (operation.responses["200"] || {}).content;
  if (answer) body.append(element("h4", "←"), json(resolve(api, answer["application/json"].schema, 0)));
  box.append(head, body);
  return box;
};
fetch("openapi.json").then((answer) => answer.json()).then((api) => {
  document.title = api.info.title;
  document.getElementById("title").textContent = api.info.title;
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(show(api, path, method, operation));
    }
  }
  const place = document.getElementById("api");
  for (const [tag, boxes] of groups) place.append(element("h2", tag), ...boxes);
});
)script";
}

}  // namespace berth::api
