#include "json/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory_resource>
#include <utility>
#include <vector>

#include "json/write.h"

namespace berth::json {
namespace {

using detail::Node;

std::optional<double> parse_double(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Reads a whole number of any spelling that fits into T.
template <class T>
std::optional<T> parse_whole(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size()) return value;
  if (text.find_first_of(".eE") == std::string_view::npos && text != "-0") return std::nullopt;
  const auto number = parse_double(text);
  if (!number || std::trunc(*number) != *number) return std::nullopt;
  // max() + 1 is a power of two and so exact as a double, unlike max() itself.
  constexpr double kEnd = static_cast<double>(T{1} << (std::numeric_limits<T>::digits - 1)) * 2;
  if (*number < static_cast<double>(std::numeric_limits<T>::min()) || *number >= kEnd) return std::nullopt;
  return static_cast<T>(*number);
}

void append_node(std::string& out, const Node& node) {
  switch (node.kind) {
    case Kind::missing:
      break;
    case Kind::null:
      out.append("null");
      break;
    case Kind::boolean:
      out.append(node.truth ? "true" : "false");
      break;
    case Kind::number:
      out.append(node.text);
      break;
    case Kind::string:
      append_string(out, node.text);
      break;
    case Kind::array:
    case Kind::object: {
      const bool object = node.kind == Kind::object;
      out.push_back(object ? '{' : '[');
      for (std::uint32_t i = 0; i < node.count; ++i) {
        if (i > 0) out.push_back(',');
        if (object) {
          append_string(out, node.children[i].key);
          out.push_back(':');
        }
        append_node(out, node.children[i]);
      }
      out.push_back(object ? '}' : ']');
      break;
    }
  }
}

}  // namespace

struct Document::Content {
  std::pmr::monotonic_buffer_resource memory{4096};
  Node root;
};

namespace {

/// Takes the parser's events and builds nodes. The children of an open container wait on
/// `pending_`; when it closes they move together into the arena, so that siblings lie side by side.
class Builder {
 public:
  // NOLINTBEGIN(readability-identifier-naming): the parser asks for these names.
  static constexpr std::size_t max_object_size = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::uint32_t>::max();
  // NOLINTEND(readability-identifier-naming)

  using Code = boost::json::error_code;
  using Piece = boost::json::string_view;

  explicit Builder(std::pmr::memory_resource& memory) : memory_(memory) {}

  Node take_root() { return pending_.back(); }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_array_begin(Code&) { return open(); }
  bool on_object_begin(Code&) { return open(); }
  bool on_array_end(std::size_t count, Code&) { return close(Kind::array, count); }
  bool on_object_end(std::size_t count, Code&) { return close(Kind::object, count); }
  bool on_key_part(Piece piece, std::size_t, Code&) { return collect(piece); }
  bool on_key(Piece piece, std::size_t, Code&) {
    key_ = finish(piece);
    return true;
  }
  bool on_string_part(Piece piece, std::size_t, Code&) { return collect(piece); }
  bool on_string(Piece piece, std::size_t, Code&) {
    return add(Kind::string, [&](Node& node) { node.text = finish(piece); });
  }
  bool on_number_part(Piece piece, Code&) { return collect(piece); }
  bool on_int64(std::int64_t, Piece piece, Code&) { return add_number(piece); }
  bool on_uint64(std::uint64_t, Piece piece, Code&) { return add_number(piece); }
  bool on_double(double, Piece piece, Code&) { return add_number(piece); }
  bool on_bool(bool truth, Code&) {
    return add(Kind::boolean, [&](Node& node) { node.truth = truth; });
  }
  bool on_null(Code&) {
    return add(Kind::null, [](Node&) {});
  }
  bool on_comment_part(Piece, Code&) { return true; }
  bool on_comment(Piece, Code&) { return true; }

 private:
  bool open() {
    open_keys_.push_back(std::exchange(key_, {}));
    return true;
  }

  bool close(Kind kind, std::size_t count) {
    Node* first = pending_.data() + (pending_.size() - count);
    std::size_t kept = count;
    if (kind == Kind::object) kept = drop_repeated(first, count);
    Node* children = nullptr;
    if (kept > 0) {
      children = static_cast<Node*>(memory_.allocate(kept * sizeof(Node), alignof(Node)));
      std::uninitialized_copy_n(first, kept, children);
    }
    pending_.resize(pending_.size() - count);
    key_ = open_keys_.back();
    open_keys_.pop_back();
    return add(kind, [&](Node& node) {
      node.children = children;
      node.count = static_cast<std::uint32_t>(kept);
    });
  }

  /// Keeps the last of members of the same name, at the place of the first; returns how many are
  /// left.
  std::size_t drop_repeated(Node* first, std::size_t count) {
    if (count < 2) return count;
    order_.resize(count);
    for (std::size_t i = 0; i < count; ++i) order_[i] = static_cast<std::uint32_t>(i);
    std::sort(order_.begin(), order_.end(), [first](std::uint32_t a, std::uint32_t b) {
      const int order = first[a].key.compare(first[b].key);
      return order < 0 || (order == 0 && a < b);
    });
    bool repeated = false;
    for (std::size_t i = 0; i + 1 < count;) {
      std::size_t last = i;
      while (last + 1 < count && first[order_[last + 1]].key == first[order_[i]].key) ++last;
      if (last > i) {
        first[order_[i]] = first[order_[last]];
        for (std::size_t k = i + 1; k <= last; ++k) first[order_[k]].kind = Kind::missing;
        repeated = true;
      }
      i = last + 1;
    }
    if (!repeated) return count;
    return static_cast<std::size_t>(
        std::remove_if(first, first + count, [](const Node& node) { return node.kind == Kind::missing; }) - first);
  }

  template <class Fill>
  bool add(Kind kind, Fill fill) {
    Node& node = pending_.emplace_back();
    node.key = std::exchange(key_, {});
    node.kind = kind;
    fill(node);
    return true;
  }
  bool add_number(Piece piece) {
    return add(Kind::number, [&](Node& node) { node.text = finish(piece); });
  }

  bool collect(Piece piece) {
    parts_.append(piece.data(), piece.size());
    return true;
  }

  /// Copies a text that may have come in pieces into the arena.
  std::string_view finish(Piece piece) {
    const std::size_t size = parts_.size() + piece.size();
    if (size == 0) return std::string_view("");
    char* text = static_cast<char*>(memory_.allocate(size, 1));
    std::memcpy(text, parts_.data(), parts_.size());
    if (!piece.empty()) std::memcpy(text + parts_.size(), piece.data(), piece.size());
    parts_.clear();
    return {text, size};
  }

  std::pmr::memory_resource& memory_;
  std::vector<Node> pending_;
  std::vector<std::string_view> open_keys_;
  std::vector<std::uint32_t> order_;
  std::string_view key_;
  std::string parts_;
};

Error malformed(std::size_t at, const boost::json::error_code& error, const ReadLimits& limits) {
  if (error == boost::json::error::too_deep) {
    return Error(ErrorCode::malformed, "json.malformed",
                 {fmt::format("JSON 嵌套超过 {} 层", limits.depth),
                  fmt::format("The JSON is nested deeper than {} levels", limits.depth)});
  }
  return Error(ErrorCode::malformed, "json.malformed",
               {fmt::format("不是有效的 JSON（第 {} 字节附近）", at + 1),
                fmt::format("Not valid JSON (near byte {})", at + 1)})
      .with_detail(error ? error.message() : "data after the end");
}

}  // namespace

View View::operator[](std::string_view key) const {
  if (!is_object()) return {};
  for (std::uint32_t i = 0; i < node_->count; ++i) {
    if (node_->children[i].key == key) return View(node_->children + i);
  }
  return {};
}

View View::at(std::size_t index) const {
  return is_array() && index < node_->count ? View(node_->children + index) : View();
}

std::size_t View::size() const {
  return is_array() || is_object() ? node_->count : 0;
}

std::optional<std::string_view> View::string() const {
  if (kind() != Kind::string) return std::nullopt;
  return node_->text;
}

std::optional<std::int64_t> View::integer() const {
  return kind() == Kind::number ? parse_whole<std::int64_t>(node_->text) : std::nullopt;
}

std::optional<std::uint64_t> View::unsigned_integer() const {
  return kind() == Kind::number ? parse_whole<std::uint64_t>(node_->text) : std::nullopt;
}

std::optional<double> View::number() const {
  return kind() == Kind::number ? parse_double(node_->text) : std::nullopt;
}

std::optional<bool> View::boolean() const {
  if (kind() != Kind::boolean) return std::nullopt;
  return node_->truth;
}

std::string View::string_or(std::string_view fallback) const {
  return std::string(string().value_or(fallback));
}

std::string View::text() const {
  std::string out;
  if (node_ != nullptr) append_node(out, *node_);
  return out;
}

Document::Document(std::unique_ptr<Content> content) : content_(std::move(content)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

View Document::root() const {
  return content_ ? View(&content_->root) : View();
}

Result<Document> Document::parse(std::string_view text, const ReadLimits& limits) {
  if (text.size() > limits.bytes) {
    return Error(
        ErrorCode::too_large, "json.too_large",
        {fmt::format("JSON 超过 {} 字节", limits.bytes), fmt::format("The JSON exceeds {} bytes", limits.bytes)});
  }
  auto content = std::make_unique<Content>();
  boost::json::parse_options options;
  options.max_depth = limits.depth;
  boost::json::basic_parser<Builder> parser(options, content->memory);
  boost::json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (error || used < text.size()) return malformed(used, error, limits);
  content->root = parser.handler().take_root();
  return Document(std::move(content));
}

}  // namespace berth::json
