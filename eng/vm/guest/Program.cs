using Abuse.Core.Guest;

// What runs in the guest, as root: the cases, and the servers that cases kill.
return args switch
{
    ["list"] => Catalogue.Print(),
    ["run", .. string[] rest] => await Supervisor.RunAsync(rest),
    ["work", .. string[] names] => await Worker.RunAsync(names),
    ["reap"] => await Cleaner.ReapAsync(),
    ["serve", .. string[] rest] => await ServeVerb.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        guest list                          the cases
        guest run smoke|full [FILTER]       runs those whose name contains the filter, or one of several with commas between
        guest serve null|memory|file ...    serves one disk until it is told to stop; see ServeVerb
        guest reap                          deletes every ublk device
        """);
    return 64;
}
