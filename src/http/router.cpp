#include "http/router.h"

#include <array>
#include <map>

namespace berth::http {
namespace {

constexpr std::size_t kMethods = static_cast<std::size_t>(Method::other);
constexpr std::size_t kNone = static_cast<std::size_t>(-1);

bool is_name(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

/// Takes the next segment off a path that starts with '/'.
std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);
  const std::size_t end = path.find('/');
  const std::string_view segment = path.substr(0, end);
  path = end == std::string_view::npos ? std::string_view() : path.substr(end);
  return segment;
}

}  // namespace

struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> named;
  std::string name;  // of the `named` child
  std::array<std::size_t, kMethods> routes;

  Node() { routes.fill(kNone); }

  bool takes(Method method) const {
    return method != Method::other && routes[static_cast<std::size_t>(method)] != kNone;
  }

  bool ends_here() const {
    for (const std::size_t route : routes) {
      if (route != kNone) return true;
    }
    return false;
  }

  std::string allow() const {
    std::string list;
    const auto append = [&](Method method) {
      if (!list.empty()) list += ", ";
      list += berth::http::name(method);
    };
    for (std::size_t i = 0; i < kMethods; ++i) {
      const auto method = static_cast<Method>(i);
      const bool head_of_get = method == Method::head && routes[static_cast<std::size_t>(Method::get)] != kNone;
      if (routes[i] != kNone || head_of_get || method == Method::options) append(method);
    }
    return list;
  }
};

struct Router::Search {
  Method method;
  PathValues values;
  const Node* other_method;
  bool malformed;
};

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

Result<void> Router::add(Method method, std::string_view pattern, std::size_t route) {
  Node* node = root_.get();
  std::string_view rest = pattern;
  while (!rest.empty()) {
    const std::string_view segment = take_segment(rest);
    if (is_name(segment)) {
      const std::string_view name = segment.substr(1, segment.size() - 2);
      if (!node->named) {
        node->named = std::make_unique<Node>();
        node->name = name;
      } else if (node->name != name) {
        return Error(ErrorCode::conflict, "route.name_clash",
                     {"同一位置的路径参数名称不同", "One place of a path has two parameter names"})
            .with_detail(std::string(pattern));
      }
      node = node->named.get();
    } else {
      auto& child = node->literals[std::string(segment)];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
    }
  }
  auto& slot = node->routes[static_cast<std::size_t>(method)];
  if (slot != kNone) {
    return Error(ErrorCode::already_exists, "route.duplicate", {"路由重复声明", "A route is declared twice"})
        .with_detail(std::string(name(method)) + " " + std::string(pattern));
  }
  slot = route;
  return {};
}

/// Walks towards the node of `path`. A node of the right path but without the method is remembered in `search` and
/// the walk goes on: "/instances/actions" may be a literal for POST and still a name for GET.
const Router::Node* Router::find_node(const Node& node, std::string_view rest, Search& search) {
  if (rest.empty()) {
    if (node.takes(search.method)) return &node;
    if (search.other_method == nullptr && node.ends_here()) search.other_method = &node;
    return nullptr;
  }
  const std::string_view segment = take_segment(rest);
  if (const auto literal = node.literals.find(segment); literal != node.literals.end()) {
    if (const Node* found = find_node(*literal->second, rest, search)) return found;
  }
  if (!node.named || segment.empty()) return nullptr;
  auto value = percent_decode(segment);
  if (!value) {
    search.malformed = true;
    return nullptr;
  }
  search.values.emplace_back(node.name, std::move(*value));
  if (const Node* found = find_node(*node.named, rest, search)) return found;
  search.values.pop_back();
  return nullptr;
}

Router::Match Router::find(Method method, std::string_view path) const {
  Match match;
  Search search{method == Method::head ? Method::get : method, {}, nullptr, false};
  const Node* node = path.starts_with('/') ? find_node(*root_, path, search) : nullptr;
  if (node != nullptr) {
    match.kind = Match::Kind::found;
    match.route = node->routes[static_cast<std::size_t>(search.method)];
    match.values = std::move(search.values);
  } else if (search.other_method != nullptr) {
    match.kind = Match::Kind::wrong_method;
    match.allow = search.other_method->allow();
  } else {
    match.kind = search.malformed ? Match::Kind::malformed : Match::Kind::unknown;
  }
  return match;
}

}  // namespace berth::http
