//! Owns an agent's end of the coordinator's socket: one connection for each call, so that whoever waits is seen to
//! have gone when it goes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Call, Given, Token};
use crate::config::EnvMap;
use crate::config::env::{TOOL_SOCKET, TOOL_TOKEN};
use crate::socket::{self, Answer, Ask, Client};

/// How long a call waits for another coordinator when its own has died.
const PATIENCE: Duration = Duration::from_secs(600);

/// The way to the coordinator, for one attempt.
#[derive(Debug, Clone)]
pub struct Way {
    socket: PathBuf,
    token: Token,
}

/// Why a call did not get through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket does not work.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// The coordinator could not carry it out.
    #[error("{0}")]
    Failed(String),
    /// There is no runtime to wait in.
    #[error("cannot wait for an answer: {0}")]
    Runtime(std::io::Error),
}

impl Way {
    /// The way that an environment names, if it names one.
    pub fn of(env: &EnvMap) -> Option<Self> {
        Some(Self {
            socket: TOOL_SOCKET.of(env)?.into(),
            token: TOOL_TOKEN.of(env)?.to_owned().into(),
        })
    }

    /// Uses a tool. What makes no sense is refused before it is sent.
    ///
    /// # Errors
    /// When no coordinator is there for long.
    pub async fn call(&self, call: Call) -> Result<Given, Error> {
        if let Err(senseless) = call.check() {
            return Ok(Given::Refused(senseless.to_string()));
        }
        let until = Instant::now() + PATIENCE;
        let mut wait = Duration::from_millis(50);
        loop {
            match self.try_call(&call).await {
                // Its coordinator is dead. The next one knows what was asked, and takes nothing twice.
                Err(Error::Socket(socket::Error::Gone | socket::Error::Io { .. }))
                    if Instant::now() < until && self.is_expected() =>
                {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
                ended => return ended,
            }
        }
    }

    /// Whether another coordinator may come: one that ends by itself takes its socket with it.
    fn is_expected(&self) -> bool {
        self.socket.exists()
    }

    async fn try_call(&self, call: &Call) -> Result<Given, Error> {
        let mut client = Client::connect(&self.socket).await?;
        let (token, call) = (self.token.clone(), call.clone());
        client.ask(&Ask::Tool { token, call }).await?;
        match client.answer().await? {
            Some(Answer::Tool(given)) => Ok(given),
            Some(Answer::Failed(why)) => Err(Error::Failed(why)),
            Some(other) => Err(socket::Error::Answer(format!("{other:?}")).into()),
            None => Err(socket::Error::Gone.into()),
        }
    }

    /// The same for a caller that has nothing else to do.
    ///
    /// # Errors
    /// The same.
    pub fn call_and_wait(&self, call: Call) -> Result<Given, Error> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Runtime)?
            .block_on(self.call(call))
    }
}
