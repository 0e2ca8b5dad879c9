#:project ../Abuse.Core/Abuse.Core.csproj

// A disk for NBD clients: qemu, libnbd and its tools, fio, the Linux kernel. In memory, in a file, or one that is slow and fails as real ones do.
// Help says how. Without arguments, and without a terminal, it shows itself with whatever client is installed.
//
//     dotnet run samples/nbd-server.cs -- memory 256M
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Abuse.Core;

const string Help = """
    usage: dotnet run samples/nbd-server.cs -- WHAT [OPTION ...]

      memory SIZE           a disk in memory
      file PATH [SIZE]      a disk in a file, which is made if it is not there
      flaky SIZE [SEED]     a simulated disk: it takes its time, sometimes more than that, loses a sector now and then, and fails a write in 500
      help

      --tcp [ADDRESS:]PORT  where to listen; 127.0.0.1:10809 if nothing is said, port 0 for any
      --remote              allows an address that other machines reach: nobody is asked who he is
      --unix PATH           a Unix socket, for this user alone
      --stdio               one client, on standard input and output, as inetd has it
      --name NAME           the export's name
      -r                    read-only

    A listening socket that is inherited (LISTEN_FDS, as systemd and libnbd have it) is taken instead of all these.
    """;

var given = new Dictionary<string, string>();
try
{
    string[] words = [.. Parse(args)];
    if (words is ["help"])
    {
        Console.WriteLine(Help);
        return 0;
    }

    bool isInherited = Inherits();
    if (words.Length == 0 && !isInherited && !given.ContainsKey("--stdio") && Console.IsOutputRedirected)
    {
        return await ShowAsync();
    }

    BlockTarget target = Target(words.Length == 0 ? ["memory", "64M"] : words);
    await using AbuseDevice device = AbuseDevice.Create(target);
    NbdExport[] exports = [new NbdExport(device, given.GetValueOrDefault("--name", "")) { IsWritable = !given.ContainsKey("-r"), Description = target.ToString() }];
    if (given.ContainsKey("--stdio"))
    {
        // Standard output is the client's: not a word to it.
        await using NbdServer one = NbdServer.Create(exports);
        one.Disconnected += (_, end) => Console.Error.WriteLine($"nbd-server: {end.Reason}: {end.Detail}");
        await one.ServeAsync(new StandardStreams());
        return 0;
    }

    // Signals from here on, so that none hits a server half started.
    using var stop = new SemaphoreSlim(0);
    using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
    using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
    var options = new NbdServerOptions { AllowRemote = given.ContainsKey("--remote") };
    await using NbdServer server = isInherited
        ? NbdServer.Start(exports, new Socket(new SafeSocketHandle(3, ownsHandle: true)), options)
        : NbdServer.Start(exports, EndPointToListenOn(), options);
    server.Disconnected += (_, end) => Console.Error.WriteLine($"\r{end.Client} left: {end.Detail}");
    if (!isInherited)
    {
        Greet(server);
    }

    await FollowAsync(server, target, stop, isQuiet: isInherited);
    return 0;

    void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        stop.Release();
    }
}
catch (FormatException wrong)
{
    Console.Error.WriteLine(wrong.Message);
    return 2;
}
catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException or SocketException)
{
    Console.Error.WriteLine(failure.Message);
    return 1;
}

// What there is to copy into another terminal.
static void Greet(NbdServer server)
{
    string uri = server.Uri!.AbsoluteUri;
    Console.WriteLine($"{uri}: {server.Exports[0]}");
    Console.WriteLine($"""
        next: nbdcopy --progress '{uri}' disk.img
              qemu-img info '{uri}'
              qemu-system-x86_64 -drive 'file={uri},format=raw,if=virtio'
        Ctrl-C stops it.
        """);
}

// Prints what goes on, until it is stopped.
static async Task FollowAsync(NbdServer server, BlockTarget target, SemaphoreSlim stop, bool isQuiet)
{
    bool live = !Console.IsOutputRedirected;
    NbdStatistics last = server.Statistics;
    long since = Stopwatch.GetTimestamp();
    while (!await stop.WaitAsync(TimeSpan.FromSeconds(live ? 1 : 5)))
    {
        NbdStatistics now = server.Statistics;
        double seconds = Stopwatch.GetElapsedTime(since).TotalSeconds;
        since = Stopwatch.GetTimestamp();
        double megabytes = (now.BytesRead + now.BytesWritten - last.BytesRead - last.BytesWritten) / seconds / 1e6;
        string faults = target is SimulatedDisk disk ? $" {disk.Faults.Count,5} faults" : "";
        string line = string.Create(CultureInfo.InvariantCulture,
            $"{now.Connections,4} clients {(now.Requests - last.Requests) / seconds,9:N0} IOPS {megabytes,9:N1} MB/s {now.Errors,5} errors{faults}");
        if (live)
        {
            Console.Write($"\r{line} ");
        }
        else if (now.Requests != last.Requests && !isQuiet)
        {
            Console.WriteLine(line); // A log needs no line for each moment in which nothing happened.
        }

        last = now;
    }

    Console.Error.WriteLine($"\nstopped: {server.Statistics}");
}

// Without a terminal: a disk, a client of somebody else's if there is one, and the end.
static async Task<int> ShowAsync()
{
    string folder = Directory.CreateTempSubdirectory("nbd-server-").FullName;
    try
    {
        byte[] image = new byte[8 << 20];
        new Random(1).NextBytes(image.AsSpan(0, 1 << 20));
        await File.WriteAllBytesAsync(Path.Combine(folder, "image"), image);
        var memory = new MemoryTarget(image.Length);
        await using AbuseDevice device = AbuseDevice.Create(memory);
        await using NbdServer server = NbdServer.Start(device, new UnixDomainSocketEndPoint(Path.Combine(folder, "nbd")), writable: true);
        Greet(server);
        string uri = server.Uri!.AbsoluteUri;
        if (await RunAsync("nbdinfo", uri) is not { } info || await RunAsync("nbdcopy", Path.Combine(folder, "image"), uri) is null)
        {
            Console.WriteLine("no client is installed that could show it: apt-get install libnbd-bin");
            return 0;
        }

        Console.WriteLine(info);
        byte[] stored = new byte[image.Length];
        await new BlockClient(device).ReadAsync(0, stored);
        bool isSame = stored.AsSpan().SequenceEqual(image);
        Console.WriteLine($"nbdcopy of {image.Length >> 20} MiB, {memory.AllocatedBytes >> 20} MiB of which are not holes: {(isSame ? "the same bytes" : "other bytes")} are here");
        Console.WriteLine(server.Statistics);
        return isSame ? 0 : 1;
    }
    finally
    {
        Directory.Delete(folder, recursive: true);
    }
}

// What a program prints; null if there is none of that name.
static async Task<string?> RunAsync(string program, params string[] arguments)
{
    try
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output.TrimEnd() : throw new IOException($"{program} ended with {process.ExitCode}.");
    }
    catch (System.ComponentModel.Win32Exception)
    {
        return null;
    }
}

// Whether a listening socket was handed over. It is meant for the process that is named, or for its child: dotnet run starts this one.
static bool Inherits()
{
    if (Environment.GetEnvironmentVariable("LISTEN_FDS") is not { } count || !OperatingSystem.IsLinux())
    {
        return false;
    }

    string stat = File.ReadAllText("/proc/self/stat");
    string parent = stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1];
    string? whose = Environment.GetEnvironmentVariable("LISTEN_PID");
    bool isMine = whose is null || whose == parent || whose == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
    return isMine && (count == "1" ? true : throw new FormatException($"{count} sockets were handed over, and one is what this takes."));
}

static BlockTarget Target(string[] what) => what switch
{
    ["memory", string size] => new MemoryTarget(Size(size)),
    ["file", string path, string size] when !File.Exists(path) => FileTarget.Create(path, Size(size)),
    ["file", string path, ..] when what.Length <= 3 => FileTarget.Open(path),
    ["flaky", string size] => Flaky(Size(size), 1),
    ["flaky", string size, string seed] => Flaky(Size(size), (ulong)Number(seed, "a seed")),
    _ => throw new FormatException($"\"{string.Join(' ', what)}\" is no disk: memory SIZE, file PATH [SIZE] or flaky SIZE [SEED]; help says more."),
};

// Decisions are the seed's: the same requests meet the same faults.
static SimulatedDisk Flaky(long size, ulong seed) => new(size, DiskProfile.ConsumerSsd, options: new SimulatedDiskOptions
{
    Clock = TimeProvider.System,
    Seed = seed,
    Faults = FaultPlan.None
        .Add(FaultRule.OnAny().OneIn(100).Delay(TimeSpan.FromMilliseconds(50)))
        .Add(FaultRule.On(BioOp.Read).OneIn(1000).FailMedia())
        .Add(FaultRule.On(BioOp.Write).OneIn(500).Fail(BioResult.IoError)),
});

EndPoint EndPointToListenOn()
{
    if (given.TryGetValue("--unix", out string? path))
    {
        return new UnixDomainSocketEndPoint(path);
    }

    string text = given.GetValueOrDefault("--tcp", "10809");
    int colon = text.LastIndexOf(':');
    IPAddress? address = IPAddress.Loopback;
    return colon < 0 || IPAddress.TryParse(text[..colon], out address)
        ? new IPEndPoint(address, Number(text[(colon + 1)..], "a port"))
        : throw new FormatException($"\"{text[..colon]}\" is not an address.");
}

// Takes the options out and leaves the words.
List<string> Parse(string[] arguments)
{
    var words = new List<string>();
    for (int i = 0; i < arguments.Length; i++)
    {
        switch (arguments[i])
        {
            case "--tcp" or "--unix" or "--name":
                given[arguments[i]] = i + 1 < arguments.Length ? arguments[i + 1] : throw new FormatException($"{arguments[i]} needs something after it.");
                i++;
                break;
            case "-r" or "--stdio" or "--remote":
                given[arguments[i]] = "";
                break;
            case "-h" or "--help":
                return ["help"];
            default:
                words.Add(arguments[i].StartsWith('-') ? throw new FormatException($"There is no option {arguments[i]}: help lists those that there are.") : arguments[i]);
                break;
        }
    }

    return words;
}

static int Number(string text, string what) =>
    int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : throw new FormatException($"\"{text}\" is not {what}.");

// 65536, 64K, 64M, 1G, 1T: powers of two.
static long Size(string text)
{
    int shift = text.Length == 0 ? 0 : "KMGT".IndexOf(char.ToUpperInvariant(text[^1])) * 10 + 10;
    bool known = long.TryParse(shift == 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long number);
    return known && number <= long.MaxValue >> shift ? number << shift : throw new FormatException($"\"{text}\" is not a size: 65536, 64K, 64M, 1G.");
}

/// <summary>Standard input and output as the two directions of one connection.</summary>
internal sealed class StandardStreams : IDuplexPipe
{
    public PipeReader Input { get; } = PipeReader.Create(Console.OpenStandardInput());

    public PipeWriter Output { get; } = PipeWriter.Create(Console.OpenStandardOutput());
}
