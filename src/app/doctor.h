#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/configuration.h"
#include "base/text.h"

namespace berth::app {

enum class Finding { ok, warning, failure };

std::string_view name(Finding finding);

/// What one check of the doctor found.
struct Diagnosis {
  std::string check;  ///< stable identifier: "ports", "engine.lxd"
  Finding finding = Finding::ok;
  Text found;   ///< what it is like, and what that means
  Text remedy;  ///< how to mend it; empty if there is nothing to mend
};

/// What the checks look at.
struct Patient {
  const LoadedConfiguration& loaded;
  const Environment& environment;
};

/// A check may find several things of one kind.
using Check = std::function<std::vector<Diagnosis>(const Patient&)>;

// Each looks at one subject and changes nothing that was there before.
std::vector<Diagnosis> check_rights(const Patient& patient);
std::vector<Diagnosis> check_state_folder(const Patient& patient);
std::vector<Diagnosis> check_disk_space(const Patient& patient);
std::vector<Diagnosis> check_clock(const Patient& patient);
std::vector<Diagnosis> check_kernel(const Patient& patient);
std::vector<Diagnosis> check_listeners(const Patient& patient);
std::vector<Diagnosis> check_store(const Patient& patient);
/// The program ssh, where a server of the store needs it.
std::vector<Diagnosis> check_ssh(const Patient& patient);
std::vector<Diagnosis> check_sealing_key(const Patient& patient);
std::vector<Diagnosis> check_engines(const Patient& patient);

/// All of them, in the order of the report.
const std::vector<Check>& doctor_checks();

/// The worst of the findings.
Finding worst(const std::vector<Diagnosis>& diagnoses);

}  // namespace berth::app
