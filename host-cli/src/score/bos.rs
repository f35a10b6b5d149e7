//! Where the token that texts begin with is put. It is context, never a target, and takes a place in the context.

/// Where it is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bos {
    /// Nowhere.
    #[default]
    None,
    /// Before each text.
    Text,
    /// Before each window of a text.
    Window,
}

impl Bos {
    /// The name that the command line and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Text => "text",
            Self::Window => "window",
        }
    }

    /// What figures say of it: nothing where it is nowhere.
    pub const fn clause(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Text => ", bos before the text",
            Self::Window => ", bos before each window",
        }
    }
}
