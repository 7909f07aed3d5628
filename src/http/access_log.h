#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::http {

/// The access log's file. Threads collect lines of their own and hand over whole blocks, so a request costs no
/// system call. Thread-safe.
class AccessLog {
 public:
  /// `path` is a file, "-" for standard error, "" for none. Errors: unavailable "http.access_log".
  static Result<std::unique_ptr<AccessLog>> open(std::string path);
  ~AccessLog();

  bool enabled() const { return file_ >= 0; }
  /// Writes complete lines.
  void write(std::string_view block);
  void reopen();

 private:
  AccessLog(std::string path, int file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  std::mutex mutex_;
  int file_;
};

}  // namespace berth::http
