//! Models from elsewhere: whole, of the right schema, and never at work before somebody promotes them.

use foretwin_core::{Instance, InstanceKind, Schema, SchemaId};
use foretwin_learn::{Model, Provenance};

use crate::Error;
use crate::handle::Handle;
use crate::models::ModelLine;

impl Handle {
    /// Takes a model's safetensors file in as a challenger of the instance; gives its version. What is promoted later
    /// judges as any other.
    ///
    /// # Errors
    /// If nobody knows the instance, or the file is no whole model of one of its schemas: says what is wrong with it.
    pub fn import_model(&self, of: &ModelLine, bytes: &[u8]) -> Result<u64, Error> {
        let pipeline = &self.pipeline;
        pipeline.known(&of.instance)?;
        let (model, provenance) = Model::decode_with(bytes).map_err(|error| match error {
            foretwin_learn::Error::Decode { problem, .. } => Error::ModelRefused(format!("model: {problem}")),
            other => other.into(),
        })?;
        let schema = pipeline.schema(model.schema());
        let fits = schema.as_ref().is_some_and(|schema| of.schema.is_none_or(|asked| asked == schema.id()));
        let Some(schema) = schema.filter(|_| fits && self.has(of, model.schema())) else {
            return Err(Error::ModelRefused(self.misfit(of, model.schema())));
        };
        check(&model, &schema)?;
        let stored = || pipeline.store.instance(&of.instance).and_then(|known| known.instance);
        let instance = pipeline.with(&of.instance, |watched| watched.instance.clone()).ok().or_else(stored);
        let id = of.instance.as_str();
        let instance = instance.unwrap_or_else(|| Instance::new(id, InstanceKind::Application, id, id));
        let reason = match provenance.reason.as_str() {
            "" => "imported".to_owned(),
            made => format!("imported: {made}"),
        };
        let provenance = Provenance { reason, ..provenance };
        pipeline.registry.add(&instance, schema.id(), &model, &provenance)
    }

    /// Whether the instance has, or had, frames of a schema.
    fn has(&self, of: &ModelLine, schema: SchemaId) -> bool {
        self.schemas(of).contains(&schema)
    }

    fn schemas(&self, of: &ModelLine) -> Vec<SchemaId> {
        let pipeline = &self.pipeline;
        let stored = pipeline.store.schemas(&of.instance);
        let mut schemas: Vec<SchemaId> = stored.iter().map(|schema| schema.id()).collect();
        let fed = pipeline.with(&of.instance, |watched| -> Vec<SchemaId> {
            watched.feeds.iter().map(|feed| feed.schema.id()).collect()
        });
        schemas.extend(fed.unwrap_or_default());
        let own = crate::outputs::schema().id();
        schemas.retain(|&schema| schema != own);
        schemas.sort_unstable();
        schemas.dedup();
        schemas
    }

    fn misfit(&self, of: &ModelLine, schema: SchemaId) -> String {
        let has: Vec<String> = self.schemas(of).iter().map(SchemaId::to_string).collect();
        format!(
            "the model takes frames of schema {schema}, {} has frames of {}: import a model that was exported from an \
             instance with the same metrics",
            of.instance,
            if has.is_empty() { "none".into() } else { has.join(", ") }
        )
    }
}

/// Whether a model's recipe is of the schema it names.
fn check(model: &Model, schema: &Schema) -> Result<(), Error> {
    let features = &model.recipe().features;
    let same = features.len() == schema.width()
        && features.iter().zip(schema.metrics()).all(|(feature, metric)| feature.storage == metric.storage);
    same.then_some(()).ok_or_else(|| {
        Error::ModelRefused(format!(
            "the recipe in __metadata__.header does not fit schema {}: it must have {} features, in the order and storage \
             of the metrics",
            schema.id(),
            schema.width()
        ))
    })
}
