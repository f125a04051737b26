//! What a program reads: files of its private directory.

use std::io;

use tokio::sync::Mutex as Turn;

use super::{
    Call, Failure, Login, Profile,
    call::Asked,
    chart::{Chart, SOURCE, host_of},
    files::Private,
    repositories::Repositories,
    vector,
};

/// Writes it.
///
/// # Errors
/// `invalid`, `not-found`, `exists` or `unavailable`.
pub(super) async fn furnish(
    call: &Call,
    private: &Private,
    kubeconfig: Option<&str>,
    login: Option<&(String, Login)>,
    repositories: &Turn<Repositories>,
) -> Result<(), Failure> {
    let broken = |error: io::Error| Failure::unavailable("a program's private files cannot be written", &error);
    let url_of_login = login.map(|(url, _)| url);
    let login = login.map(|(_, login)| login);
    if let Some(kubeconfig) = kubeconfig {
        private.write("kubeconfig", kubeconfig.as_bytes()).map_err(broken)?;
    }
    let of_repository = matches!(&call.asked, Asked::Deploy(deploy) if !matches!(deploy.chart, Chart::Registry(_)))
        || matches!(call.profile(), Profile::RepoAdd | Profile::RepoUpdate);
    if of_repository && matches!(login, Some(Login::Bearer(_))) {
        return Err(Failure::invalid("the credential is a token, and a repository wants `user:password`"));
    }
    match &call.asked {
        Asked::Deploy(deploy) => match &deploy.chart {
            Chart::InRepository { url, .. } if vector::with_private_list(deploy) => {
                private.repositories(SOURCE, url, login).map_err(broken)?;
            }
            Chart::Registry(reference) => {
                if let Some(login) = login {
                    private.registry(host_of(reference), login).map_err(broken)?;
                }
            }
            Chart::Bytes(bytes) => private.write(vector::ARCHIVE_FILE, bytes).map_err(broken)?,
            _ => {}
        },
        Asked::RepoAdd(asked) => {
            repositories.lock().await.room_for(&asked.repo_name, &asked.repo_url, asked.replace)?;
            private.repositories(asked.repo_name.as_str(), &asked.repo_url, login).map_err(broken)?;
        }
        _ => {}
    }
    if let Some(name) = call.repository() {
        let repositories = repositories.lock().await;
        let kept = repositories.get(name)?;
        if url_of_login.is_some_and(|url| *url != kept.url) {
            let message = format!("the repository `{}` got another address meanwhile; ask again", name.as_str());
            return Err(Failure::new("conflict", message));
        }
        private.repositories(name.as_str(), &kept.url, login).map_err(broken)?;
        repositories.lend(name, private).map_err(broken)?;
    }
    Ok(())
}
