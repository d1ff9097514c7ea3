//! `cargo xtask bench`: the benchmarks, which are workspaces of their own.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::cargo::{self, Workspace};

/// Measure how fast Blaze is; without a target, everything.
///
/// What takes other programs' crates is a workspace of its own in xtask/bench and
/// xtask/codec-bench, so that neither a user's build nor CI compiles those. Close other
/// programs first: figures of a busy machine mean nothing, but for counted instructions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench                          everything
  cargo xtask bench codec --quick            BlazeBinary beside other formats, in seconds
  cargo xtask bench codec --help             what that takes
  cargo xtask bench stages                   what each stage of a commit's way costs
  cargo xtask bench stages --check           whether any got dearer, as CI asks
  cargo xtask bench e2e --quick --scale      how cost grows with records, bytes and peers
  cargo xtask bench e2e --alternatives       what else one could pick, beside Blaze
  cargo xtask bench e2e --help               what the end-to-end benchmark takes")]
pub(crate) struct Bench {
    #[command(subcommand)]
    target: Option<Target>,
}

/// What to measure.
#[derive(Debug, Subcommand)]
enum Target {
    /// BlazeBinary beside other formats.
    #[command(disable_help_flag = true)]
    Codec(Rest),
    /// What each stage of a commit's way costs by itself.
    #[command(disable_help_flag = true)]
    Stages(Rest),
    /// Replicas in sync over real transports.
    #[command(disable_help_flag = true)]
    E2e(Rest),
}

#[derive(Debug, Default, Args)]
struct Rest {
    /// Arguments for the benchmark itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Bench {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let targets = self.target.map_or_else(Target::all, |target| vec![target]);
        for target in targets {
            target.run(workspace)?;
        }
        Ok(())
    }
}

impl Target {
    fn all() -> Vec<Self> {
        vec![
            Self::Stages(Rest::default()),
            Self::Codec(Rest::default()),
            Self::E2e(Rest::default()),
        ]
    }

    fn run(self, workspace: &Workspace) -> Result<()> {
        let (manifest, program, Rest { args }) = match self {
            Self::Codec(rest) => ("xtask/codec-bench/Cargo.toml", "codec", rest),
            Self::Stages(rest) => ("xtask/stages/Cargo.toml", "blaze-stages", rest),
            Self::E2e(rest) => ("xtask/bench/Cargo.toml", "e2e", rest),
        };
        if !workspace.path(manifest).exists() {
            bail!("there is no such benchmark: {manifest} doesn't exist");
        }
        let mut command = workspace.cargo(&["run", "--quiet", "--release"]);
        command.args(["--manifest-path", manifest, "--bin", program, "--target-dir", "target"]);
        // CI compares without files: what those need takes minutes to build.
        if program == "blaze-stages" && !args.iter().any(|arg| arg == "--check" || arg == "--store")
        {
            command.args(["--features", "sqlite"]);
        }
        if program == "e2e" && args.iter().any(|arg| arg.starts_with("--alternatives")) {
            command.args(["--features", alternatives(has_libclang())]);
        }
        cargo::run(command.arg("--").args(args))
    }
}

/// The features of all alternatives that can be built: `SQLite`'s sessions only
/// where bindings to them can be made.
fn alternatives(libclang: bool) -> &'static str {
    if libclang { "alternatives,session" } else { "alternatives" }
}

/// Whether bindgen will find libclang, which it loads.
fn has_libclang() -> bool {
    if env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let entries = |folder: &Path| {
        let entries = folder.read_dir().into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut folders: Vec<_> = LIBRARIES.iter().map(PathBuf::from).collect();
    // Such as llvm-19/lib and x86_64-linux-gnu.
    for nested in LIBRARIES.iter().flat_map(|folder| entries(Path::new(folder))) {
        folders.extend([nested.join("lib"), nested]);
    }
    folders.iter().flat_map(|folder| entries(folder)).any(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        is_libclang(name)
    })
}

/// Where libraries are, by themselves or in folders.
const LIBRARIES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"];

/// Whether a file is the library, such as `libclang.so` or `libclang-19.so.1`, and
/// not another one of the same project.
fn is_libclang(file: &str) -> bool {
    let Some((stem, _)) = file.split_once(".so") else { return false };
    let Some(version) = stem.strip_prefix("libclang") else { return false };
    version.bytes().all(|byte| byte == b'-' || byte == b'.' || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{Bench, Rest, Target, is_libclang};

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    #[test]
    fn all_that_follows_the_target_is_the_benchmarks_own() {
        for own in [&["--help"][..], &["--nodes", "3", "--help"], &[]] {
            let line = Line::parse_from([&["bench", "e2e"], own].concat());
            let Some(Target::E2e(Rest { args })) = line.bench.target else {
                panic!("{line:?}");
            };
            assert_eq!(args, own);
        }
        assert!(Line::try_parse_from(["bench", "unknown"]).is_err());
    }
    #[test]
    fn libclang_is_told_from_its_kin() {
        for file in ["libclang.so", "libclang.so.19", "libclang-14.so.1", "libclang-14.0.6.so"] {
            assert!(is_libclang(file), "{file}");
        }
        for file in ["libclang-cpp.so.14", "libclang.a", "libclangAST.so", "libclang_rt.so", "so"] {
            assert!(!is_libclang(file), "{file}");
        }
    }
}
