#include "metrics/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <variant>

#include "base/encoding.h"

namespace berth::metrics {
namespace {

[[noreturn]] void abort_with(const std::string& message) {
  std::fprintf(stderr, "berth::metrics: %s\n", message.c_str());
  std::abort();
}

bool is_name(std::string_view name, bool colon) {
  const auto letter = [colon](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
  };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// A scrape fails as a whole if one label is not UTF-8.
std::string replace_non_ascii(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  return text;
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out.push_back(c);
    }
  }
}

/// `name="value",…` without braces, sorted by name: what tells a family's metrics apart.
std::string label_text(std::string_view metric, Labels labels) {
  std::sort(labels.begin(), labels.end());
  std::string text;
  std::string_view previous;
  for (const auto& [name, value] : labels) {
    if (!is_name(name, false) || name.starts_with("__") || name == "le" || name == previous) {
      abort_with(fmt::format("\"{}\" cannot be a label of {}", name, metric));
    }
    previous = name;
    if (!text.empty()) text.push_back(',');
    text += name;
    text += "=\"";
    append_escaped(text, is_utf8(value) ? value : replace_non_ascii(value), true);
    text.push_back('"');
  }
  return text;
}

void append_value(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

void append_sample(std::string& out, std::string_view name, std::string_view labels, std::string_view more) {
  out += name;
  if (!labels.empty() || !more.empty()) {
    out.push_back('{');
    out += labels;
    if (!labels.empty() && !more.empty()) out.push_back(',');
    out += more;
    out.push_back('}');
  }
  out.push_back(' ');
}

using Reader = std::function<double()>;

void append_head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  fmt::format_to(std::back_inserter(out), "# HELP {} ", name);
  append_escaped(out, help, false);
  fmt::format_to(std::back_inserter(out), "\n# TYPE {} {}\n", name, type);
}

void append_histogram(std::string& out, const std::string& name, const std::string& labels,
                      const Histogram& histogram) {
  // The buckets are read once, so that the last of them and the count agree while others observe.
  std::uint64_t total = 0;
  for (std::size_t i = 0; i <= Histogram::kBounds.size(); ++i) {
    total += histogram.bucket(i);
    const std::string bound = i < Histogram::kBounds.size() ? fmt::format("{}", Histogram::kBounds[i]) : "+Inf";
    append_sample(out, name + "_bucket", labels, fmt::format("le=\"{}\"", bound));
    fmt::format_to(std::back_inserter(out), "{}\n", total);
  }
  append_sample(out, name + "_sum", labels, "");
  append_value(out, histogram.sum_seconds());
  out.push_back('\n');
  append_sample(out, name + "_count", labels, "");
  fmt::format_to(std::back_inserter(out), "{}\n", total);
}

}  // namespace

void Histogram::observe(std::chrono::nanoseconds duration) {
  const auto ns = std::max<std::chrono::nanoseconds::rep>(duration.count(), 0);
  const double seconds = static_cast<double>(ns) / 1e9;
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin();
  buckets_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(static_cast<std::uint64_t>(ns), std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) total += bucket(i);
  return total;
}

double Histogram::sum_seconds() const {
  return static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) / 1e9;
}

struct Registry::Family {
  using Value = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>,
                             std::shared_ptr<const Reader>>;
  std::string name;
  std::string help;
  std::string type;
  std::map<std::string, Value, std::less<>> metrics;  // by label text; what is in stays

  /// The metric of these labels, made if there is none.
  template <class Kind>
  Kind& get(Labels labels) {
    const auto [place, fresh] = metrics.try_emplace(label_text(name, std::move(labels)));
    if (fresh) place->second = std::make_unique<Kind>();
    const auto* held = std::get_if<std::unique_ptr<Kind>>(&place->second);
    if (held == nullptr) abort_with(fmt::format("{}{{{}}} is observed, not set", name, place->first));
    return **held;
  }

  void observe(Labels labels, Reader read) {
    const auto [place, fresh] = metrics.try_emplace(label_text(name, std::move(labels)));
    if (!fresh && !std::holds_alternative<std::shared_ptr<const Reader>>(place->second)) {
      abort_with(fmt::format("{}{{{}}} is set, not observed", name, place->first));
    }
    place->second = std::make_shared<const Reader>(std::move(read));
  }
};

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Family& Registry::family(std::string_view name, std::string_view help, std::string_view type) {
  const auto place =
      std::lower_bound(families_.begin(), families_.end(), name,
                       [](const auto& family, std::string_view wanted) { return family->name < wanted; });
  if (place != families_.end() && (*place)->name == name) {
    if ((*place)->type != type) abort_with(fmt::format("{} is a {}, not a {}", name, (*place)->type, type));
    return **place;
  }
  if (!is_name(name, true)) abort_with(fmt::format("\"{}\" is no metric name", name));
  auto made = std::make_unique<Family>();
  made->name = name;
  made->help = help;
  made->type = type;
  return **families_.insert(place, std::move(made));
}

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(mutex_);
  return family(name, help, "counter").get<Counter>(std::move(labels));
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(mutex_);
  return family(name, help, "gauge").get<Gauge>(std::move(labels));
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(mutex_);
  return family(name, help, "histogram").get<Histogram>(std::move(labels));
}

void Registry::observe(std::string_view name, std::string_view help, Labels labels, std::function<double()> read) {
  const std::lock_guard lock(mutex_);
  family(name, help, "gauge").observe(std::move(labels), std::move(read));
}

std::string Registry::text() const {
  struct Line {
    const Family* family;
    const std::string* labels;
    const Family::Value* value;
    std::shared_ptr<const Reader> reader;
  };
  // What observes may itself wait for a lock whose holder asks for a metric, so it is asked without
  // ours.
  std::vector<Line> lines;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& family : families_) {
      for (const auto& [labels, value] : family->metrics) {
        const auto* reader = std::get_if<std::shared_ptr<const Reader>>(&value);
        lines.push_back({family.get(), &labels, &value, reader == nullptr ? nullptr : *reader});
      }
    }
  }
  std::string out;
  const Family* current = nullptr;
  for (const auto& [family, labels, value, reader] : lines) {
    if (std::exchange(current, family) != family) append_head(out, family->name, family->help, family->type);
    if (reader) {
      append_sample(out, family->name, *labels, "");
      append_value(out, (*reader)());
      out.push_back('\n');
    } else if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(value)) {
      append_sample(out, family->name, *labels, "");
      fmt::format_to(std::back_inserter(out), "{}\n", (*counter)->value());
    } else if (const auto* gauge = std::get_if<std::unique_ptr<Gauge>>(value)) {
      append_sample(out, family->name, *labels, "");
      append_value(out, (*gauge)->value());
      out.push_back('\n');
    } else {
      append_histogram(out, family->name, *labels, *std::get<std::unique_ptr<Histogram>>(*value));
    }
  }
  return out;
}

}  // namespace berth::metrics
