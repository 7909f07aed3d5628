#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::json {

/// What a text may cost to read.
struct ReadLimits {
  std::size_t depth = 32;  ///< nested arrays and objects
  std::size_t bytes = std::size_t{256} << 20;
};

enum class Kind { missing, null, boolean, number, string, array, object };

namespace detail {

/// A parsed value. Numbers stay text, so that none loses digits.
struct Node {
  std::string_view key;   // of a member of an object
  std::string_view text;  // string: content; number: as it was written
  const Node* children = nullptr;
  std::uint32_t count = 0;
  Kind kind = Kind::null;
  bool truth = false;
};

}  // namespace detail

/// A look at one value of a Document, valid while the Document lives (also after it was moved).
/// Asking for a kind that the value is not yields nothing; nothing here throws. Cheap to copy.
class View {
 public:
  View() = default;
  explicit View(const detail::Node* node) : node_(node) {}

  Kind kind() const { return node_ == nullptr ? Kind::missing : node_->kind; }
  bool exists() const { return node_ != nullptr; }
  bool is_null() const { return kind() == Kind::null; }
  bool is_object() const { return kind() == Kind::object; }
  bool is_array() const { return kind() == Kind::array; }

  /// The member of that name; a view of nothing if there is none or this is no object. Linear in
  /// members.
  View operator[](std::string_view key) const;
  /// Elements are asked for with `at`; without this the literal 0 would be a null pointer to a key.
  View operator[](std::size_t index) const = delete;
  /// The element of that index; a view of nothing beyond the end or if this is no array.
  View at(std::size_t index) const;
  /// Elements of an array or members of an object; else 0.
  std::size_t size() const;

  std::optional<std::string_view> string() const;
  /// Also of a number written with a fraction or an exponent, if it is whole and fits.
  std::optional<std::int64_t> integer() const;
  std::optional<std::uint64_t> unsigned_integer() const;
  std::optional<double> number() const;
  std::optional<bool> boolean() const;
  /// The content of a string, or `fallback`.
  std::string string_or(std::string_view fallback) const;

  struct Member;
  template <class Item>
  class Range;
  /// Elements in order; empty unless this is an array.
  Range<View> elements() const;
  /// Members in order, each key once (the last value wins); empty unless this is an object.
  Range<Member> members() const;

  /// The value as compact JSON; numbers as they were written. Empty for a view of nothing.
  std::string text() const;

 private:
  const detail::Node* node_ = nullptr;
};

struct View::Member {
  std::string_view key;
  View value;
  Member() = default;
  explicit Member(const detail::Node* node) : key(node->key), value(node) {}
};

template <class Item>
class View::Range {
 public:
  class Iterator {
   public:
    using value_type = Item;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(const detail::Node* node) : node_(node) {}
    Item operator*() const { return Item(node_); }
    Iterator& operator++() {
      ++node_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++node_;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const detail::Node* node_ = nullptr;
  };

  Range(const detail::Node* first, std::size_t count) : first_(first), count_(count) {}
  Iterator begin() const { return Iterator(first_); }
  Iterator end() const { return Iterator(first_ == nullptr ? nullptr : first_ + count_); }
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

 private:
  const detail::Node* first_;
  std::size_t count_;
};

inline View::Range<View> View::elements() const {
  return is_array() ? Range<View>(node_->children, node_->count) : Range<View>(nullptr, 0);
}
inline View::Range<View::Member> View::members() const {
  return is_object() ? Range<Member>(node_->children, node_->count) : Range<Member>(nullptr, 0);
}

/// A parsed JSON text, for reading what others wrote. Immutable, so that any thread may read it.
class Document {
 public:
  /// Copies what it needs of `text`. Errors: malformed "json.malformed" (also too deep), too_large
  /// "json.too_large".
  static Result<Document> parse(std::string_view text, const ReadLimits& limits = {});
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  View root() const;

 private:
  struct Content;
  explicit Document(std::unique_ptr<Content> content);

  std::unique_ptr<Content> content_;
};

}  // namespace berth::json
