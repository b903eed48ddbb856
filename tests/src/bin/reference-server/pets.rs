//! The objects, interfaces and unions that the GraphQL specification uses in its examples.

use async_graphql::{Enum, ID, Interface, Object, Union};

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum DogCommand {
    Sit,
    Down,
    Heel,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum CatCommand {
    Jump,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    Large,
}

#[derive(Interface)]
#[graphql(field(name = "name", ty = "String"), field(name = "nickname", ty = "Option<String>"))]
enum Pet {
    Dog(Dog),
    Cat(Cat),
}

#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"), field(name = "name", ty = "String"))]
enum Being {
    Dog(Dog),
    Human(Human),
}

#[derive(Union)]
enum CatOrDog {
    Cat(Cat),
    Dog(Dog),
}

#[derive(Union)]
enum HumanOrCat {
    Human(Human),
    Cat(Cat),
}

struct Dog;

#[Object]
impl Dog {
    async fn id(&self) -> ID {
        "dog".into()
    }
    async fn name(&self) -> String {
        "Fido".to_owned()
    }
    async fn nickname(&self) -> Option<String> {
        None
    }
    async fn bark_volume(&self) -> Option<i32> {
        Some(11)
    }
    async fn weight(&self) -> f64 {
        10.0
    }
    async fn size(&self) -> Size {
        Size::Large
    }
    async fn does_know_command(&self, dog_command: DogCommand) -> bool {
        dog_command == DogCommand::Sit
    }
    async fn is_house_trained(&self, at_other_homes: Option<bool>) -> bool {
        at_other_homes != Some(true)
    }
    async fn owner(&self) -> Option<Human> {
        Some(Human)
    }
    async fn friends(&self) -> Option<Vec<Option<Pet>>> {
        Some(vec![Some(Pet::Cat(Cat)), None, Some(Pet::Dog(Dog))])
    }
}

struct Cat;

#[Object]
impl Cat {
    async fn name(&self) -> String {
        "Tom".to_owned()
    }
    async fn nickname(&self) -> Option<String> {
        Some("Tommy".to_owned())
    }
    async fn meow_volume(&self) -> Option<i32> {
        Some(3)
    }
    async fn weight(&self) -> Option<f64> {
        Some(4.25)
    }
    async fn size(&self) -> Option<String> {
        Some("small".to_owned())
    }
    async fn does_know_command(&self, cat_command: CatCommand) -> bool {
        cat_command == CatCommand::Jump
    }
    async fn owner(&self) -> Option<Human> {
        None
    }
}

struct Human;

#[Object]
impl Human {
    async fn id(&self) -> ID {
        "human".into()
    }
    async fn name(&self) -> String {
        "Asha".to_owned()
    }
    async fn pets(&self) -> Vec<Pet> {
        vec![Pet::Dog(Dog), Pet::Cat(Cat)]
    }
    /// A list with only the dog. The field is deprecated.
    #[graphql(deprecation = "Ask for pets.")]
    async fn animals(&self) -> Vec<Pet> {
        vec![Pet::Dog(Dog)]
    }
}

#[derive(Default)]
pub(crate) struct Pets;

#[Object]
impl Pets {
    async fn dog(&self) -> Dog {
        Dog
    }
    async fn cat(&self) -> Option<Cat> {
        Some(Cat)
    }
    async fn nobody(&self) -> Option<Human> {
        None
    }
    async fn human(&self, id: Option<ID>) -> Option<Human> {
        id.is_none_or(|id| id == "human").then_some(Human)
    }
    async fn pet(&self, #[graphql(default = "dog")] name: String) -> Option<Pet> {
        match name.as_str() {
            "dog" => Some(Pet::Dog(Dog)),
            "cat" => Some(Pet::Cat(Cat)),
            _ => None,
        }
    }
    async fn being(&self, human: bool) -> Being {
        if human { Being::Human(Human) } else { Being::Dog(Dog) }
    }
    async fn cat_or_dog(&self) -> Vec<CatOrDog> {
        vec![CatOrDog::Cat(Cat), CatOrDog::Dog(Dog)]
    }
    async fn human_or_cat(&self) -> Option<HumanOrCat> {
        Some(HumanOrCat::Human(Human))
    }
}
