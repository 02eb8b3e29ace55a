//! Owns what a program in a container is given of this machine: its slot, and the git metadata that is lent with it.
//! Everything else the image brings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use turno_core::config::Confinement;
use turno_sandbox::Place;

use super::lodging::{self, Error, LENT, Tenant};

/// What is there for one program in a container.
pub(crate) struct Furnished {
    places: Vec<Place>,
    dir: PathBuf,
}

impl Tenant<'_> {
    /// Lends the slot to a program in a container, however other programs are confined: what is to be covered can be.
    pub(crate) async fn furnish(
        self,
        dir: &Path,
        env: &mut BTreeMap<String, String>,
    ) -> Result<Furnished, Error> {
        let by = Confinement::Namespaces;
        let lent = self.lend(dir, env, by).await?;
        let mut places = vec![Place::write(self.path)];
        places.extend(lodging::places_of(&lent, by));
        Ok(Furnished {
            places,
            dir: dir.to_owned(),
        })
    }
}

impl Furnished {
    /// What it sees.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Afterwards: what it did to git's metadata is nobody's work.
    pub(crate) fn leave(self) {
        lodging::clear(&self.dir, &[LENT]);
    }
}
