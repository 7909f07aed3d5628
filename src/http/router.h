#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace berth::http {

/// The values of a pattern's "{name}" segments, decoded, in order.
using PathValues = std::vector<std::pair<std::string_view, std::string>>;

/// Finds the route of a method and a path in time that depends on the path alone. A pattern is made of literal
/// segments and "{name}" segments, which take exactly one segment each; a literal wins over a name.
/// Filled once, then immutable and thread-safe.
class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  /// `route` is the caller's index. Errors: already_exists "route.duplicate", conflict "route.name_clash"
  /// where two patterns name the same place differently.
  Result<void> add(Method method, std::string_view pattern, std::size_t route);

  struct Match {
    enum class Kind { found, wrong_method, unknown, malformed } kind = Kind::unknown;
    std::size_t route = 0;
    PathValues values;
    std::string allow;  ///< for wrong_method and OPTIONS: "GET, HEAD, OPTIONS"
  };
  /// `path` is still percent-encoded. HEAD finds GET's route.
  Match find(Method method, std::string_view path) const;

 private:
  struct Node;
  struct Search;
  static const Node* find_node(const Node& node, std::string_view rest, Search& search);

  std::unique_ptr<Node> root_;
};

}  // namespace berth::http
