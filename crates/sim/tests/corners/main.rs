mod alias;
mod connect;
mod flow;
mod retained;
mod session;
mod story;
mod subscribe;
mod will;
