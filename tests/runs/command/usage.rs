//! Help, exit codes and options outside of subcommands.

use super::{answer, json, run, wgrad};

/// Those that `wgrad --help` lists.
fn subcommands() -> Vec<String> {
    let help = answer(&mut wgrad(["--help"]));
    let listed =
        help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|line| !line.is_empty());
    listed.map(|line| line.split_whitespace().next().unwrap().to_string()).filter(|name| name != "help").collect()
}

#[test]
fn every_subcommand_explains_itself_with_an_example() {
    let subcommands = subcommands();
    assert!(subcommands.len() >= 3, "{subcommands:?}");
    for name in subcommands {
        let help = answer(&mut wgrad([&name, "--help"]));
        assert!(help.contains("Examples:\n  "), "{help}");
        assert!(help.contains(&format!("wgrad {name}")), "{help}");
    }
}

#[test]
fn the_exit_code_tells_failure_from_misuse() {
    for (arguments, code, texts) in [
        (&["data", "/nowhere"][..], 1, ["error: /nowhere: there is no such folder", "hint: known are mnist"]),
        (&["data"], 2, ["error: the following required arguments", "Usage: wgrad data"]),
        (&["dat"], 2, ["error: unrecognized subcommand", "data"]),
        (&["data", "cifar10", "--channels", "grey"], 2, ["error: --channels", "cifar10"]),
    ] {
        let (got, stdout, stderr) = run(wgrad([]).args(arguments));
        assert_eq!(got, Some(code), "{arguments:?}: {stderr}");
        assert!(texts.iter().all(|text| stderr.contains(text)), "{arguments:?}: {stderr}");
        assert_eq!(stdout, "", "{arguments:?}");
    }
}

#[test]
fn adapters_are_those_of_the_library() {
    let names: Vec<String> = wgrad::Device::adapters().into_iter().map(|adapter| adapter.name).collect();
    let listed = json(&mut wgrad(["adapters"]));
    let listed: Vec<&str> =
        listed.as_array().unwrap().iter().map(|adapter| adapter["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
    let table = answer(&mut wgrad(["adapters"]));
    assert!(names.iter().all(|name| table.contains(name)), "{table}");
}

#[test]
fn shells_get_completions_of_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = answer(&mut wgrad(["completions", shell]));
        assert!(subcommands().iter().all(|name| script.contains(name.as_str())), "{script}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let shell =
        format!("{} completions bash | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_wgrad"));
    let (code, _, stderr) = run(std::process::Command::new("bash").args(["-c", &shell]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn networks_that_do_not_take_the_images_are_named_apart() {
    let (code, stdout, stderr) = run(&mut wgrad(["models", "--size", "32", "--classes", "10"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("resnet18") && !stdout.contains("maxvit_t") && !stdout.contains("unet"), "{stdout}");
    assert!(stderr.contains("these take no such images: ") && stderr.contains("maxvit_t"), "{stderr}");
}
