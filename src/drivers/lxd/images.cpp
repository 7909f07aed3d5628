#include "drivers/lxd/images.h"

#include <algorithm>

#include "drivers/lxd/decode.h"
#include "drivers/lxd/operation.h"

namespace berth::drivers::lxd {

Result<std::vector<compute::Image>> Images::list_images(Deadline deadline) {
  const Answer answer = BERTH_TRY(api_.get("/images?recursion=1", {}, deadline));
  if (!answer.metadata().is_array()) return nonsense("the images are no list");
  std::vector<compute::Image> images;
  for (const auto& entry : answer.metadata().elements()) images.push_back(BERTH_TRY(decode_image(entry)));
  return images;
}

Result<std::string> Images::resolve(const std::string& image, Deadline deadline) {
  const Subject subject = Subject::of_image(image);
  if (image.empty() || image == "." || image == "..") return translate(404, "image not found", subject);
  auto alias = api_.get("/images/aliases/" + http::percent_encode(image), subject, deadline);
  if (alias) {
    if (const auto target = alias->metadata()["target"].string()) return std::string(*target);
    return nonsense("an alias without target");
  }
  const bool hexadecimal = !image.empty() && image.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (alias.error().code() != ErrorCode::not_found || !hexadecimal) return take_error(alias);
  const Answer answer = BERTH_TRY(api_.get("/images/" + image, subject, deadline));
  const auto fingerprint = answer.metadata()["fingerprint"].string();
  if (!fingerprint) return nonsense("an image without a fingerprint");
  return std::string(*fingerprint);
}

Result<void> Images::remove_image(const std::string& image, Deadline deadline) {
  const std::string fingerprint = BERTH_TRY(resolve(image, deadline));
  const Subject subject = Subject::of_image(image);
  const Answer started = BERTH_TRY(
      api_.call(http::Method::delete_, "/images/" + http::percent_encode(fingerprint), {}, subject, deadline));
  auto removed = follow(api_, started, subject, {}, {.stage = "remove image"}, deadline);
  if (!removed && removed.error().reason() == "engine.operation_gone") return {};
  return removed;
}

}  // namespace berth::drivers::lxd
