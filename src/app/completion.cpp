#include "app/completion.h"

#include <fmt/format.h>

#include <functional>

namespace berth::app {
namespace {

/// Every command with the words that lead to it, "berth instances list", parents first.
void visit(const CommandShape& command, const std::string& before,
           const std::function<void(const std::string& path, const CommandShape&)>& see) {
  const auto path = before.empty() ? command.name : before + " " + command.name;
  see(path, command);
  for (const auto& child : command.commands) visit(*child, path, see);
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out.push_back(c);
    }
  }
  return out + "'";
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : std::string(separator)) + word;
  return out;
}

/// The words that may stand next behind a command: its commands, its choices, its options.
std::vector<std::string> next_words(const CommandShape& command) {
  std::vector<std::string> words;
  for (const auto& child : command.commands) words.push_back(child->name);
  for (const auto& option : command.options) {
    if (option.names.empty()) words.insert(words.end(), option.choices.begin(), option.choices.end());
  }
  for (const auto& option : command.options) words.insert(words.end(), option.names.begin(), option.names.end());
  words.emplace_back("--help");
  return words;
}

std::string bash_script(const CommandShape& root) {
  std::string next;
  std::string values;
  visit(root, "", [&](const std::string& path, const CommandShape& command) {
    next += fmt::format("    {}) echo {} ;;\n", single_quoted(path), single_quoted(joined(next_words(command), " ")));
    for (const auto& option : command.options) {
      if (!option.takes_value || option.names.empty()) continue;
      for (const auto& name : option.names) {
        const auto what = option.takes_file        ? "<file>"
                          : option.choices.empty() ? "<value>"
                                                   : joined(option.choices, " ");
        values += fmt::format("    {}) echo {} ;;\n", single_quoted(path + " " + name), single_quoted(what));
      }
    }
  });
  return fmt::format(R"sh(# bash completion for berth
_berth_next() {{
  case "$1" in
{}  esac
}}
_berth_value() {{
  case "$1" in
{}  esac
}}
_berth() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path=berth word value i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    if [[ $word == -* ]]; then
      [[ -n $(_berth_value "$path $word") ]] && ((i++))
    elif [[ -n $(_berth_next "$path $word") ]]; then
      path="$path $word"
    fi
  done
  value=$(_berth_value "$path ${{COMP_WORDS[COMP_CWORD - 1]}}")
  case $value in
    '<file>') mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    '<value>') COMPREPLY=() ;;
    '') mapfile -t COMPREPLY < <(compgen -W "$(_berth_next "$path")" -- "$current") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$value" -- "$current") ;;
  esac
}}
complete -F _berth berth
)sh",
                     next, values);
}

/// What stands behind an option's colon in zsh's _arguments.
std::string zsh_value(const OptionShape& option) {
  if (option.takes_file) return ":file:_files";
  if (!option.choices.empty()) return fmt::format(":value:({})", joined(option.choices, " "));
  return option.takes_value ? ":value:" : "";
}

/// Description in a zsh specification, where ':', '[' and ']' have a meaning.
std::string zsh_description(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::string zsh_function_name(std::string path) {
  for (char& c : path) {
    if (c == ' ' || c == '-') c = '_';
  }
  return "_" + path;
}

std::string zsh_script(const CommandShape& root) {
  std::string functions;
  visit(root, "", [&](const std::string& path, const CommandShape& command) {
    const auto name = zsh_function_name(path);
    std::string specifications;
    for (const auto& option : command.options) {
      if (option.names.empty()) specifications += fmt::format(" {}", single_quoted("1" + zsh_value(option)));
      for (const auto& spelled : option.names) {
        specifications += fmt::format(
            " {}",
            single_quoted(fmt::format("{}[{}]{}", spelled, zsh_description(option.description), zsh_value(option))));
      }
    }
    specifications += " '--help[Show this help]'";
    if (command.commands.empty()) {
      functions += fmt::format("{}() {{\n  _arguments{}\n}}\n", name, specifications);
      return;
    }
    std::string names;
    std::string cases;
    for (const auto& child : command.commands) {
      names += fmt::format(" {}", single_quoted(child->name + ":" + zsh_description(child->description)));
      cases += fmt::format("        {}) {} ;;\n", child->name, zsh_function_name(path + " " + child->name));
    }
    functions += fmt::format(R"sh({}() {{
  local line state
  _arguments -C{} '1: :->command' '*::argument:->arguments'
  case $state in
    command)
      local -a commands=({})
      _describe command commands ;;
    arguments)
      case $line[1] in
{}      esac ;;
  esac
}}
)sh",
                             name, specifications, names, cases);
  });
  return "#compdef berth\n" + functions + "compdef _berth berth\n";
}

std::string fish_script(const CommandShape& root) {
  std::string lines =
      "# fish completion for berth\n"
      "function __berth_at\n"
      "  set -l words (commandline -opc | string match -v -- '-*')\n"
      "  test \"$words\" = \"$argv\"\n"
      "end\n"
      "function __berth_below\n"
      "  string match -q -- \"$argv*\" (string join ' ' (commandline -opc | string match -v -- '-*'))\n"
      "end\n"
      "complete -c berth -f\n";
  visit(root, "", [&](const std::string& path, const CommandShape& command) {
    for (const auto& child : command.commands) {
      lines += fmt::format("complete -c berth -n {} -a {} -d {}\n", single_quoted("__berth_at " + path),
                           single_quoted(child->name), single_quoted(child->description));
    }
    for (const auto& option : command.options) {
      auto line = fmt::format("complete -c berth -n {}",
                              single_quoted((option.names.empty() ? "__berth_at " : "__berth_below ") + path));
      for (const auto& name : option.names) {
        line += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2)) : fmt::format(" -s {}", name.substr(1));
      }
      if (option.takes_file) {
        line += " -r -F";
      } else if (!option.choices.empty()) {
        line += fmt::format(" {}-a {}", option.names.empty() ? "" : "-x ", single_quoted(joined(option.choices, " ")));
      } else if (option.takes_value) {
        line += " -x";
      }
      lines += fmt::format("{} -d {}\n", line, single_quoted(option.description));
    }
  });
  return lines;
}

}  // namespace

const std::vector<std::string>& completion_shells() {
  static const std::vector<std::string> shells = {"bash", "zsh", "fish"};
  return shells;
}

std::string completion_script(const CommandShape& root, std::string_view shell) {
  if (shell == "bash") return bash_script(root);
  if (shell == "zsh") return zsh_script(root);
  return fish_script(root);
}

}  // namespace berth::app
