#include "json/schema.h"

#include <fmt/format.h>

#include "json/document.h"

namespace berth::json {
namespace {

std::string json_string(std::string_view text) {
  std::string out;
  append_string(out, text);
  return out;
}

/// Joins the words of a qualified type name, with or without the namespaces before each.
std::string join_words(std::string_view type, bool whole) {
  std::string qualified(type);
  for (const std::string_view unnamed : {"{anonymous}::", "(anonymous namespace)::"}) {
    while (qualified.find(unnamed) != std::string::npos) qualified.erase(qualified.find(unnamed), unnamed.size());
  }
  std::string name;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) name += (name.empty() ? "" : "_") + word;
    word.clear();
  };
  for (std::size_t i = 0; i < qualified.size(); ++i) {
    const char c = qualified[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (letter) {
      word.push_back(c);
    } else if (qualified.compare(i, 2, "::") == 0) {
      if (whole) flush();
      word.clear();
      ++i;
    } else {
      flush();
    }
  }
  flush();
  return name;
}

}  // namespace

namespace detail {

std::string short_type_name(std::string_view qualified) {
  return join_words(qualified, false);
}
std::string long_type_name(std::string_view qualified) {
  return join_words(qualified, true);
}

std::string* Schema::find(std::string_view keyword) {
  for (auto& [name, json] : keywords_) {
    if (name == keyword) return &json;
  }
  return nullptr;
}

Schema& Schema::set(std::string_view keyword, std::string json) {
  if (std::string* present = find(keyword)) {
    *present = std::move(json);
  } else {
    keywords_.emplace_back(keyword, std::move(json));
  }
  return *this;
}

Schema& Schema::set_text(std::string_view keyword, std::string_view text) {
  return set(keyword, json_string(text));
}

Schema& Schema::or_null() {
  if (keywords_.empty() || nullable_) return *this;
  nullable_ = true;
  if (std::string* type = find("type")) {
    *type = fmt::format("[{},\"null\"]", *type);
    if (std::string* values = find("enum")) values->insert(values->size() - 1, ",null");
    return *this;
  }
  std::string choices = fmt::format(R"([{},{{"type":"null"}}])", text());
  keywords_.clear();
  return set("anyOf", std::move(choices));
}

Schema& Schema::apply_to_leaf(const FieldRules* rules) {
  if (rules == nullptr) return *this;
  if (const auto& length = rules->length_bounds()) {
    if (length->min > 0) set("minLength", std::to_string(length->min));
    if (length->max != static_cast<std::size_t>(-1)) set("maxLength", std::to_string(length->max));
  }
  if (!rules->allowed().empty()) set("enum", to_json(rules->allowed()));
  if (rules->pattern_name() == "dns-label") {
    set_text("pattern", "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$");
  } else if (!rules->pattern_name().empty()) {
    set_text("format", rules->pattern_name());
  }
  if (rules->lowest()) set("minimum", bound_text(*rules->lowest()));
  if (rules->highest()) set("maximum", bound_text(*rules->highest()));
  return *this;
}

Schema& Schema::apply_to_member(const FieldRules& rules, Language language) {
  if (const auto& items = rules.item_bounds()) {
    const bool list = find("items") != nullptr;
    if (items->min > 0) set(list ? "minItems" : "minProperties", std::to_string(items->min));
    if (items->max != static_cast<std::size_t>(-1))
      set(list ? "maxItems" : "maxProperties", std::to_string(items->max));
  }
  if (rules.documentation()) set_text("description", rules.documentation()->in(language));
  if (rules.is_secret()) {
    set("writeOnly", "true");
    if (rules.facts().leaf == Leaf::text && !rules.facts().container) set_text("format", "password");
    return *this;
  }
  if (const std::string& example = rules.example_text(); !example.empty()) {
    const bool text =
        !rules.facts().container && (rules.facts().leaf == Leaf::text || rules.facts().leaf == Leaf::enumeration);
    const auto json = text ? Result<Document>(internal_error("")) : Document::parse(example);
    set("examples", fmt::format("[{}]", json ? json->root().text() : json_string(example)));
  }
  return *this;
}

Schema& Schema::set_default(const FieldRules& rules, std::string json) {
  if (rules.keeps_default() && !rules.is_secret() && json != "null") set("default", std::move(json));
  return *this;
}

std::string Schema::text() const {
  std::string out = "{";
  for (const auto& [keyword, json] : keywords_) {
    if (out.size() > 1) out.push_back(',');
    append_string(out, keyword);
    out.push_back(':');
    out += json;
  }
  return out + "}";
}

Schema Schema::of_type(std::string_view type, std::string_view format) {
  Schema schema;
  schema.set_text("type", type);
  if (!format.empty()) schema.set_text("format", format);
  return schema;
}

Schema Schema::of_integer(bool is_signed, std::size_t bytes) {
  Schema schema = of_type("integer", bytes > 4 || (!is_signed && bytes == 4) ? "int64" : "int32");
  if (!is_signed) schema.set("minimum", "0");
  if (bytes < 4) {
    const long top = 1L << (bytes * 8 - (is_signed ? 1 : 0));
    if (is_signed) schema.set("minimum", std::to_string(-top));
    schema.set("maximum", std::to_string(top - 1));
  }
  return schema;
}

Schema Schema::of_enum(const EnumName* names, std::size_t count) {
  std::string values = "[";
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) values.push_back(',');
    append_string(values, names[i].name);
  }
  return of_type("string").set("enum", values + "]");
}

}  // namespace detail

std::string Schemas::claim(std::string_view qualified, bool& fresh) {
  if (const auto known = names_.find(qualified); known != names_.end()) {
    fresh = false;
    return known->second;
  }
  fresh = true;
  std::string name = detail::short_type_name(qualified);
  if (components_.contains(name)) name = detail::long_type_name(qualified);
  names_.emplace(qualified, name);
  // Taken at once, so that a type that contains itself ends.
  components_.emplace(name, "{}");
  return name;
}

std::string Schemas::components() const {
  std::string out = "{";
  for (const auto& [name, schema] : components_) {
    if (out.size() > 1) out.push_back(',');
    append_string(out, name);
    out.push_back(':');
    out += schema;
  }
  return out + "}";
}

std::string Schemas::description(const FieldRules& rules) const {
  return rules.documentation() ? rules.documentation()->in(language_) : std::string();
}

}  // namespace berth::json
