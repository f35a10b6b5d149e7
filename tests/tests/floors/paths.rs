//! What a file of source says: the modules and names that it declares, what it brings in, and every path in its code.

use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItem, Item, ItemMod, ItemUse, Meta, Token, TraitItem, UseTree, Visibility};

/// A path as it is written, segment by segment.
pub type Path = Vec<String>;

/// A `use` declaration of one name.
#[derive(Clone, Debug)]
pub struct Use {
    /// What is brought in.
    pub path: Path,
    /// What it is called here; `None` for everything that is in it.
    pub name: Option<String>,
    /// Whether others may take it from here.
    pub is_public: bool,
}

/// A module, without what is compiled for tests only.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Its name below the file's own module, segment by segment; empty for the file's own.
    pub inner: Path,
    /// Modules in files of their own.
    pub files: Vec<String>,
    /// Modules in braces.
    pub inline: Vec<String>,
    /// Names that it defines.
    pub items: Vec<String>,
    /// What it brings in.
    pub uses: Vec<Use>,
    /// Every other path in its code: in types, expressions, patterns, functions' own `use`, attributes and macros.
    pub paths: Vec<Path>,
}

/// The modules of a file, its own first.
///
/// # Errors
/// It is no Rust.
pub fn read(source: &str) -> syn::Result<Vec<Module>> {
    let file = syn::parse_file(source)?;
    let mut reader = Reader { done: vec![Module::default()], at: 0, blocks: 0 };
    reader.visit_file(&file);
    Ok(reader.done)
}

struct Reader {
    done: Vec<Module>,
    /// The module that is being read.
    at: usize,
    /// Blocks that the code stands in: a `use` in one of them names nothing outside.
    blocks: usize,
}

impl Reader {
    fn module(&mut self) -> &mut Module {
        &mut self.done[self.at]
    }

    fn read_module(&mut self, item: &ItemMod) {
        let name = item.ident.to_string();
        assert!(!item.attrs.iter().any(|attr| attr.path().is_ident("path")), "`mod {name}` lies where its name says");
        let Some((_, items)) = &item.content else {
            self.module().files.push(name);
            return;
        };
        let outer = self.at;
        self.module().inline.push(name.clone());
        let inner = [self.module().inner.clone(), vec![name]].concat();
        self.done.push(Module { inner, ..Module::default() });
        self.at = self.done.len() - 1;
        items.iter().for_each(|item| self.visit_item(item));
        self.at = outer;
    }

    fn read_use(&mut self, item: &ItemUse) {
        let is_public = !matches!(item.vis, Visibility::Inherited);
        let mut uses = Vec::new();
        unfold(&item.tree, &mut Vec::new(), &mut |path, name| uses.push(Use { path, name, is_public }));
        if self.blocks > 0 {
            self.module().paths.extend(uses.into_iter().map(|used| used.path));
        } else {
            self.module().uses.append(&mut uses);
        }
    }
}

/// Every name of a tree of `use`, with the whole path to it.
fn unfold(tree: &UseTree, to: &mut Path, found: &mut impl FnMut(Path, Option<String>)) {
    let mut one = |to: &Path, name: String, called: String| match name.as_str() {
        "self" => found(to.clone(), to.last().cloned().filter(|_| called == "self").or(Some(called))),
        _ => found([to.as_slice(), &[name]].concat(), Some(called)),
    };
    match tree {
        UseTree::Path(path) => {
            to.push(path.ident.to_string());
            unfold(&path.tree, to, found);
            to.pop();
        }
        UseTree::Name(name) => one(to, name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(name) => one(to, name.ident.to_string(), name.rename.to_string()),
        UseTree::Glob(_) => found(to.clone(), None),
        UseTree::Group(group) => group.items.iter().for_each(|tree| unfold(tree, to, found)),
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attrs, name) = parts(item);
        if is_for_tests(attrs) {
            return;
        }
        if let Some(name) = name.filter(|_| self.blocks == 0) {
            self.module().items.push(name.to_string());
        }
        match item {
            Item::Mod(item) => self.read_module(item),
            Item::Use(item) => self.read_use(item),
            item => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attrs = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => return,
        };
        if !is_for_tests(attrs) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attrs = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => return,
        };
        if !is_for_tests(attrs) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !is_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.blocks += 1;
        visit::visit_block(self, block);
        self.blocks -= 1;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let written = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.leading_colon.is_none() {
            self.module().paths.push(written);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.visit_path(&mac.path);
        let paths = paths_in.parse2(mac.tokens.clone()).expect("any tokens will do");
        self.module().paths.extend(paths);
    }

    fn visit_attribute(&mut self, attr: &'ast Attribute) {
        if let Meta::List(list) = &attr.meta {
            let paths = paths_in.parse2(list.tokens.clone()).expect("any tokens will do");
            self.module().paths.extend(paths);
        }
    }

    /// `pub(super)` imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

/// An item's attributes, and the name that it defines.
fn parts(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::TraitAlias(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::ExternCrate(item) => (&item.attrs, None),
        Item::ForeignMod(item) => (&item.attrs, None),
        Item::Impl(item) => (&item.attrs, None),
        Item::Mod(item) => (&item.attrs, None),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}

/// Whether what has these attributes is compiled for tests alone.
fn is_for_tests(attrs: &[Attribute]) -> bool {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).any(|attr| attr.parse_args().is_ok_and(|meta| asks(&meta)))
}

/// Whether a condition holds in tests alone.
fn asks(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => {
            let all = list.parse_args_with(syn::punctuated::Punctuated::<Meta, Token![,]>::parse_terminated);
            all.is_ok_and(|all| all.iter().any(asks))
        }
        _ => false,
    }
}

/// Everything that reads as a path among the tokens of a macro. Fields and methods are none.
fn paths_in(input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let mut paths = Vec::new();
    while !input.is_empty() {
        if input.peek(Token![.]) && input.peek2(Ident::peek_any) {
            input.parse::<Token![.]>()?;
            input.call(Ident::parse_any)?;
        } else if input.peek(Ident::peek_any) {
            let mut path = vec![input.call(Ident::parse_any)?.to_string()];
            while input.peek(Token![::]) && input.peek3(Ident::peek_any) {
                input.parse::<Token![::]>()?;
                path.push(input.call(Ident::parse_any)?.to_string());
            }
            paths.push(path);
        } else {
            let group = input.step(|cursor| match cursor.any_group() {
                Some((inner, _, _, rest)) => Ok((Some(inner.token_stream()), rest)),
                None => match cursor.token_tree() {
                    Some((_, rest)) => Ok((None, rest)),
                    None => Err(cursor.error("no token")),
                },
            })?;
            if let Some(tokens) = group {
                paths.extend(paths_in.parse2(tokens)?);
            }
        }
    }
    Ok(paths)
}
