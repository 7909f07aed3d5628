#include "app/instance_tables.h"

#include <fmt/format.h>

namespace berth::app {
namespace {

namespace wire = api::lxd_panel;

std::string percent(double value) {
  return fmt::format("{:.1f} %", value);
}

std::string share(std::uint64_t used, std::uint64_t total) {
  return fmt::format("{} / {} MiB", used, total);
}

std::string or_dash(const std::optional<std::string>& text) {
  return text.value_or("-");
}

}  // namespace

Colour status_colour(std::string_view status) {
  if (status == "Running") return Colour::green;
  if (status == "Stopped") return Colour::grey;
  if (status == "Error") return Colour::red;
  return Colour::yellow;
}

Table list_table(const std::vector<wire::InstanceInfo>& instances) {
  Table table({{"NAME"}, {"STATUS"}, {"IPV4"}, {"IPV6"}, {"ARCHITECTURE"}, {"CREATED"}});
  for (const auto& instance : instances) {
    table.add({instance.name,
               {instance.status, status_colour(instance.status)},
               or_dash(instance.ipv4),
               or_dash(instance.ipv6),
               instance.architecture,
               instance.created_at});
  }
  return table;
}

Table watch_table(const std::vector<wire::MonitoredInstance>& instances) {
  using enum Table::Align;
  Table table({{"NAME"},
               {"STATUS"},
               {"IPV4"},
               {"CPU", right},
               {"MEMORY", right},
               {"DISK", right},
               {"RX", right},
               {"TX", right}});
  for (const auto& instance : instances) {
    const auto& use = instance.resources;
    table.add({instance.name,
               {instance.status, status_colour(instance.status)},
               or_dash(instance.ipv4),
               percent(use.cpu_percent),
               share(use.memory_used, use.memory_total),
               share(use.disk_used, use.disk_total),
               fmt::format("{} MiB", use.network_rx),
               fmt::format("{} MiB", use.network_tx)});
  }
  return table;
}

std::string detail_text(const wire::InstanceDetail& detail, bool colours) {
  std::string out;
  const auto line = [&](std::string_view title, const std::string& value, Colour colour = Colour::none) {
    out += fmt::format("{:<14}{}\n", fmt::format("{}:", title), coloured(printable(value), colour, colours));
  };
  const auto& info = detail.info;
  const auto& use = detail.resources;
  line("Name", info.name);
  line("Status", info.status, status_colour(info.status));
  line("IPv4", or_dash(info.ipv4));
  line("IPv6", or_dash(info.ipv6));
  line("Architecture", info.architecture);
  line("Created", info.created_at);
  line("Description", info.description.empty() ? "-" : info.description);
  line("CPU", percent(use.cpu_percent));
  line("Memory", share(use.memory_used, use.memory_total));
  line("Disk", share(use.disk_used, use.disk_total));
  line("Network", fmt::format("{} MiB in, {} MiB out", use.network_rx, use.network_tx));
  line("SSH port", detail.ssh_port ? std::to_string(*detail.ssh_port) : "-");
  line("NAT ports", or_dash(detail.nat_ports));
  return out;
}

}  // namespace berth::app
