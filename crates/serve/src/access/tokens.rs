//! The tokens of a node: a file below its data directory that holds their digests, never themselves.
//!
//! A token is 256 random bits. A digest of that cannot be guessed however fast the hash is, so SHA-256 does what argon2
//! does for passwords that people choose, and costs a request nothing.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::scope::Scope;
use crate::fault::Error;

/// What every token begins with, so that scanners for leaked secrets find it.
const PREFIX: &str = "ftw_";
/// The file below the data directory.
const FILE: &str = "tokens.json";
/// Most tokens of a node, and characters of a name.
const MOST: usize = 10_000;
const MOST_NAME: usize = 100;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Names it where it is listed, revoked and audited; says nothing of the secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made, in µs since the epoch.
    pub created_us: i64,
    /// SHA-256 of the token, in hexadecimal digits.
    digest: String,
}

impl Token {
    /// Whether it may do what a scope stands for.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// The file of tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    path: PathBuf,
}

impl Tokens {
    /// Those below a data directory.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE) }
    }

    /// Where they are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of them, oldest first; none if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn list(&self) -> Result<Vec<Token>, Error> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("reading", &self.path, error)),
        };
        serde_json::from_slice(&text).map_err(|source| Error::Tokens { path: self.path.clone(), source })
    }

    /// Makes a token. The second is the secret, which is told only now.
    ///
    /// # Errors
    /// If the name or the scopes are of no use, or the file cannot be written.
    pub fn create(&self, name: &str, scopes: &[Scope], created_us: i64) -> Result<(Token, String), Error> {
        let printable = !name.chars().any(char::is_control);
        if name.trim().is_empty() || name.len() > MOST_NAME || !printable {
            return Err(Error::Setting(format!(
                "name: 1 to {MOST_NAME} characters that say what the token is for"
            )));
        }
        if scopes.is_empty() {
            return Err(Error::Setting("scope: at least one of read, write, act and admin".into()));
        }
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        let secret = format!("{PREFIX}{}", hex(&random::<32>()?));
        let token = Token {
            id: hex(&random::<4>()?),
            name: name.trim().to_owned(),
            scopes,
            created_us,
            digest: digest_of(&secret),
        };
        let made = token.clone();
        self.change(move |tokens| {
            if tokens.len() >= MOST {
                return Err(Error::Setting(format!("there are {MOST} tokens; revoke some")));
            }
            tokens.push(made);
            Ok(())
        })?;
        Ok((token, secret))
    }

    /// Takes back the token with an id, or all with a name; how many that were.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn revoke(&self, which: &str) -> Result<usize, Error> {
        self.change(|tokens| {
            let before = tokens.len();
            tokens.retain(|token| token.id != which && token.name != which);
            Ok(before - tokens.len())
        })
    }

    /// Two programs that change tokens do so one after the other; readers see the old file or the new one.
    fn change<T>(&self, work: impl FnOnce(&mut Vec<Token>) -> Result<T, Error>) -> Result<T, Error> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |error| Error::file("writing", &path, error)
        };
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let lock_path = self.path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(failed(&lock_path))?;
        lock.lock().map_err(failed(&lock_path))?;
        let mut tokens = self.list()?;
        let done = work(&mut tokens)?;
        let fresh = self.path.with_extension("new");
        let text = serde_json::to_vec_pretty(&tokens)
            .map_err(|source| Error::Tokens { path: self.path.clone(), source })?;
        let _left_over = fs::remove_file(&fresh);
        let write = || {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(failed(&self.path))?;
        Ok(done)
    }
}

/// The token that a secret is, if any of these. Every digest is compared to its end: how long it takes says nothing of
/// how much of it was right.
pub(crate) fn find<'t>(tokens: &'t [Token], secret: &str) -> Option<&'t Token> {
    let presented = digest_of(secret);
    let mut found = None;
    for token in tokens {
        if same(token.digest.as_bytes(), presented.as_bytes()) {
            found = Some(token);
        }
    }
    found
}

/// Whether two texts are equal, in a time that depends only on their lengths.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    a.len() == b.len() && difference == 0
}

fn digest_of(secret: &str) -> String {
    hex(digest(&SHA256, secret.as_bytes()).as_ref())
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_known_until_it_is_revoked_and_is_nowhere_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::of(dir.path());
        assert!(tokens.list().unwrap().is_empty());
        let (agent, secret) = tokens.create("agent of web-1", &[Scope::Write, Scope::Write], 7).unwrap();
        let (_, other) = tokens.create("me", &[Scope::Admin], 8).unwrap();
        assert!(secret.starts_with(PREFIX) && secret.len() == 68 && secret != other);
        let listed = tokens.list().unwrap();
        assert_eq!((listed.len(), find(&listed, &secret)), (2, Some(&agent)));
        assert!(agent.may(Scope::Write) && !agent.may(Scope::Read) && agent.scopes.len() == 1);
        assert!(Scope::ALL.iter().all(|&scope| find(&listed, &other).unwrap().may(scope)));
        assert_eq!(find(&listed, &secret[..67]), None);
        assert_eq!(find(&listed, ""), None);
        let text = fs::read_to_string(tokens.path()).unwrap();
        assert!(!text.contains(&secret) && !text.contains(&secret[PREFIX.len()..]));
        assert_eq!(fs::metadata(tokens.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((tokens.revoke(&agent.id).unwrap(), tokens.revoke("nobody").unwrap()), (1, 0));
        assert_eq!(find(&tokens.list().unwrap(), &secret), None);
    }

    #[test]
    fn what_is_no_name_no_scope_or_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::of(dir.path());
        for (name, scopes) in [("", &[Scope::Read][..]), ("a\nb", &[Scope::Read]), ("a", &[])] {
            assert!(tokens.create(name, scopes, 0).is_err(), "{name:?}");
        }
        fs::write(tokens.path(), "[{").unwrap();
        let error = tokens.list().unwrap_err().to_string();
        assert!(error.contains("tokens.json"), "{error}");
    }

    #[test]
    fn comparing_knows_lengths() {
        assert!(same(b"ab", b"ab") && !same(b"ab", b"abc") && !same(b"ab", b"ac") && !same(b"", b"a"));
    }
}
