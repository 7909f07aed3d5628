#include "store/failure.h"

#include <string_view>
#include <utility>

namespace berth::store {

namespace {

constexpr std::string_view kCollision = "store.collision";

Text words(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::busy:
      return {"数据库正忙，请稍后重试", "The database is busy; try again shortly"};
    case Obstacle::full:
      return {"磁盘空间不足，数据库无法写入", "The disk is full; the database cannot be written"};
    case Obstacle::read_only:
      return {"数据库为只读，无法写入", "The database is read-only and cannot be written"};
    case Obstacle::damaged:
      return {"数据库文件已损坏", "The database file is damaged"};
    case Obstacle::unreadable:
      return {"无法读写数据库文件", "The database file cannot be read or written"};
    case Obstacle::unreachable:
      return {"无法连接数据库", "The database cannot be reached"};
  }
  return {"数据库暂不可用", "The database is not available now"};
}

}  // namespace

Error unavailable(Obstacle obstacle, std::string detail) {
  return Error(ErrorCode::unavailable, "store.unavailable", words(obstacle))
      .with_detail(std::move(detail))
      .with_retry_after(std::chrono::seconds(1));
}

Error collided(std::string detail) {
  return Error(ErrorCode::unavailable, kCollision, words(Obstacle::busy)).with_detail(std::move(detail));
}

bool is_collision(const Error& error) {
  return error.reason() == kCollision;
}

Error not_unique(std::string detail) {
  return Error(ErrorCode::already_exists, "store.unique", {"该值已存在", "The value already exists"})
      .with_detail(std::move(detail));
}

Error constraint_violated(std::string detail) {
  return Error(ErrorCode::conflict, "store.constraint",
               {"数据与现有记录不一致", "The data does not fit what is stored"})
      .with_detail(std::move(detail));
}

Error unstorable(std::string detail) {
  return Error(ErrorCode::invalid_argument, "store.value",
               {"文本必须是不含空字符的 UTF-8，数值必须有限", "Text must be UTF-8 without NUL, numbers must be finite"})
      .with_detail(std::move(detail));
}

}  // namespace berth::store
