#include "drivers/docker/archives.h"

#include "drivers/docker/images.h"
#include "drivers/docker/line_reader.h"

namespace berth::drivers::docker {
namespace {

/// Passes on how far a transfer is, each percent once.
http::Client::Progress reporter(const compute::EngineProgress& progress, const char* stage) {
  return [&progress, stage, told = -1](std::uint64_t done, std::uint64_t all) mutable {
    // How large an archive will be, Docker does not say.
    const int percent = all > 0 ? static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(all)) : 0;
    if (percent != told) progress.report(told = percent, stage);
    return !progress.cancelled();
  };
}

std::string archive_query(const std::string& path) {
  return "/archive?path=" + http::percent_encode(path);
}

}  // namespace

Result<void> Archives::save_path(const std::string& name, const std::string& path, const std::string& file,
                                 const compute::EngineProgress& progress, Deadline deadline) {
  const std::string container = BERTH_TRY(api_.container_path(name, deadline));
  return api_.download(container + archive_query(path), file, Subject::of_path(name, path), reporter(progress, "save"),
                       deadline);
}

Result<void> Archives::load_path(const std::string& name, const std::string& path, const std::string& file,
                                 const compute::EngineProgress& progress, Deadline deadline) {
  const std::string container = BERTH_TRY(api_.container_path(name, deadline));
  BERTH_TRY(api_.upload(http::Method::put, container + archive_query(path), file, Subject::of_path(name, path),
                        reporter(progress, "load"), deadline));
  return {};
}

Result<void> Archives::save_root(const std::string& name, const std::string& file,
                                 const compute::EngineProgress& progress, Deadline deadline) {
  const std::string container = BERTH_TRY(api_.container_path(name, deadline));
  return api_.download(container + "/export", file, Subject::of_container(name), reporter(progress, "save"), deadline);
}

Result<void> Archives::import_root(const std::string& file, const std::string& reference,
                                   const compute::EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(compute::check_image_reference(reference));
  if (reference.find('@') != std::string::npos) {
    return Error(ErrorCode::invalid_argument, "instance.image",
                 {"新镜像的名称不能带摘要", "A new image's name cannot have a digest"});
  }
  const auto [image, tag] = split_reference(reference);
  const auto subject = Subject::of_image(reference);
  const std::string told = BERTH_TRY(
      api_.upload(http::Method::post,
                  "/images/create?fromSrc=-&repo=" + http::percent_encode(image) + "&tag=" + http::percent_encode(tag),
                  file, subject, reporter(progress, "import"), deadline));
  // Docker answers with success before it knows; the failure is among the lines.
  LineSplitter lines;
  std::optional<std::string> failure;
  PullProgress state;
  lines.feed(told + "\n", [&](std::string_view line) {
    if (auto reason = state.take(line)) failure = std::move(reason);
  });
  if (failure) return translate(500, *failure, subject);
  return {};
}

}  // namespace berth::drivers::docker
