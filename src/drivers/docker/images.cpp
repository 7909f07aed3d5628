#include "drivers/docker/images.h"

#include <algorithm>

#include "drivers/docker/line_reader.h"
#include "drivers/docker/words.h"

namespace berth::drivers::docker {
namespace {

Result<std::string> path_of_image(const std::string& reference) {
  if (!compute::check_image_reference(reference)) {
    return translate(404, "no such image", Subject::of_image(reference));
  }
  return "/images/" + http::percent_encode(reference);
}

Result<compute::Image> decode_image(json::View entry, const std::string& architecture) {
  compute::Image image;
  image.fingerprint = entry["Id"].string_or("");
  if (image.fingerprint.empty()) return nonsense("an image without an id");
  for (const auto tag : entry["RepoTags"].elements()) {
    const std::string text = tag.string_or("");
    if (!text.empty() && text != "<none>:<none>") image.aliases.push_back(text);
  }
  const json::View labels = entry["Labels"];
  image.description =
      labels["org.opencontainers.image.description"].string_or(labels["org.opencontainers.image.title"].string_or(""));
  image.release = labels["org.opencontainers.image.version"].string_or("");
  image.os = "linux";
  image.architecture = architecture;
  image.size_bytes = entry["Size"].unsigned_integer().value_or(0);
  image.created_at = Timestamp(std::chrono::seconds(entry["Created"].integer().value_or(0)));
  image.uploaded_at = *image.created_at;
  return image;
}

}  // namespace

std::pair<std::string, std::string> split_reference(std::string_view reference) {
  if (const std::size_t at = reference.find('@'); at != std::string_view::npos) {
    return {split_reference(reference.substr(0, at)).first, std::string(reference.substr(at + 1))};
  }
  const std::size_t slash = reference.rfind('/');
  const std::size_t colon = reference.rfind(':');
  const bool tagged = colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash);
  if (!tagged) return {std::string(reference), "latest"};
  return {std::string(reference.substr(0, colon)), std::string(reference.substr(colon + 1))};
}

std::optional<std::string> PullProgress::take(std::string_view line) {
  const auto document = json::Document::parse(line);
  if (!document) return std::nullopt;
  const json::View message = document->root();
  if (const auto failure = message["errorDetail"]["message"].string()) return std::string(*failure);
  if (const auto failure = message["error"].string()) return std::string(*failure);
  const std::string id = message["id"].string_or("");
  const std::string_view status = message["status"].string().value_or("");
  if (id.empty()) return std::nullopt;
  Layer& layer = layers_[id];
  const json::View detail = message["progressDetail"];
  const auto current = detail["current"].unsigned_integer();
  if (const auto total = detail["total"].unsigned_integer()) layer.total = std::max(layer.total, *total);
  if (status == "Downloading" && current) layer.downloaded = *current;
  if (status == "Extracting" && current) {
    layer.downloaded = layer.total;
    layer.extracted = *current;
    stage_ = "extract";
  }
  if (status == "Download complete") layer.downloaded = layer.total;
  if (status == "Pull complete" || status == "Already exists") {
    // One without a size weighs a little, so that a pull of such layers moves too.
    layer.total = std::max<std::uint64_t>(layer.total, 1);
    layer.downloaded = layer.extracted = layer.total;
  }
  return std::nullopt;
}

int PullProgress::percent() {
  double done = 0;
  double all = 0;
  for (const auto& [id, layer] : layers_) {
    // Unpacking counts as much as bringing.
    all += 2.0 * static_cast<double>(layer.total);
    done += static_cast<double>(std::min(layer.downloaded, layer.total) + std::min(layer.extracted, layer.total));
  }
  if (all > 0) percent_ = std::max(percent_, static_cast<int>(100.0 * done / all));
  return percent_;
}

Result<std::vector<compute::Image>> Images::list_images(Deadline deadline) {
  const std::string architecture = BERTH_TRY(api_.version(deadline)).architecture;
  const auto document = BERTH_TRY(api_.get("/images/json", {}, deadline));
  if (!document.root().is_array()) return nonsense("the images are no list");
  std::vector<compute::Image> images;
  for (const auto entry : document.root().elements()) images.push_back(BERTH_TRY(decode_image(entry, architecture)));
  return images;
}

Result<void> Images::remove_image(const std::string& image, Deadline deadline) {
  const std::string path = BERTH_TRY(path_of_image(image));
  BERTH_TRY(api_.call(http::Method::delete_, path, {}, Subject::of_image(image), deadline));
  return {};
}

Result<bool> Images::has_image(const std::string& reference, Deadline deadline) {
  BERTH_CHECK(compute::check_image_reference(reference));
  const auto found = api_.get(BERTH_TRY(path_of_image(reference)) + "/json", Subject::of_image(reference), deadline);
  if (found) return true;
  if (found.error().code() == ErrorCode::not_found) return false;
  return found.error();
}

}  // namespace berth::drivers::docker
