// Asked again and again as mongod's health check: healthy means primary. A mongod without a replica
// set makes itself the first member of one, under the name by which the services reach it.
try {
  rs.status();
} catch (error) {
  if (error.codeName === "NotYetInitialized") {
    rs.initiate({ _id: "laurel", members: [{ _id: 0, host: "mongo:27017" }] });
  }
}
quit(db.hello().isWritablePrimary ? 0 : 1);
