#include "micro/sample_instances.h"

#include <fmt/format.h>

namespace berth::bench {

compute::Instance sample_instance(std::size_t number) {
  compute::Instance instance;
  instance.name = fmt::format("inst-{:05}", number);
  instance.status = compute::Status::running;
  instance.engine_status = "Running";
  instance.ipv4 = fmt::format("10.{}.{}.{}", number / 65536, number / 256 % 256, number % 256);
  instance.architecture = "x86_64";
  instance.created_at = Timestamp(std::chrono::seconds(1'768'900'000 + static_cast<std::int64_t>(number)));
  instance.description = fmt::format("{} {} password{} 30000 30025", instance.name, 20000 + number % 10000, number);
  instance.limits.memory_bytes = 512ULL << 20U;
  instance.limits.disk_bytes = 10ULL << 30U;
  instance.counters = {1'000'000'000ULL * number, 256ULL << 20U, 2ULL << 30U, 100ULL << 20U, 50ULL << 20U};
  instance.cpu_percent = 47.5;
  return instance;
}

std::vector<compute::Instance> sample_instances(std::size_t count) {
  std::vector<compute::Instance> instances;
  instances.reserve(count);
  for (std::size_t i = 0; i < count; ++i) instances.push_back(sample_instance(i));
  return instances;
}

}  // namespace berth::bench
