fn main() {
    for (file, crd) in roster::api::schema::crds() {
        std::fs::write(std::path::Path::new("crds").join(file), serde_saphyr::to_string(&crd).unwrap()).unwrap();
    }
}
