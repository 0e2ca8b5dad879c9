using System.Diagnostics;
using System.Globalization;

namespace Abuse.Core.Guest;

/// <summary>What a case has around it: a folder, programs that end with it, the kernel's features, and a clock that ends it.</summary>
internal sealed class Scene(string folder, UblkFeatures features, CancellationToken token) : IAsyncDisposable
{
    private readonly List<Tool> _tools = [];

    /// <summary>On tmpfs; gone with the case.</summary>
    internal string Folder { get; } = Directory.CreateDirectory(folder).FullName;

    internal UblkFeatures Features { get; } = features;

    internal CancellationToken Token { get; } = token;

    internal string PathOf(string name) => Path.Combine(Folder, name);

    internal void Need(UblkFeatures feature)
    {
        if ((Features & feature) != feature)
        {
            throw new CaseSkippedException($"this kernel has no {feature & ~Features}");
        }
    }

    /// <summary>A line for the log.</summary>
    internal static void Say(string what) => Console.WriteLine($"# {what}");

    /// <summary>A new file of zeroes.</summary>
    internal string NewFile(long size, string name = "disk.img")
    {
        string path = PathOf(name);
        using FileStream file = new(path, FileMode.CreateNew);
        file.SetLength(size);
        return path;
    }

    /// <summary>Runs a program to a successful end; what it said.</summary>
    internal Task<string> RunAsync(string program, params string[] arguments) => Start(program, arguments).SucceedAsync(Token);

    /// <summary>Runs a line of shell to a successful end; what it said, trimmed.</summary>
    internal async Task<string> ShellAsync(string line) => (await RunAsync("bash", "-ec", line)).Trim();

    /// <summary>Runs a program that must fail; what it said.</summary>
    internal async Task<string> FailAsync(string program, params string[] arguments)
    {
        Tool tool = Start(program, arguments);
        int status = await tool.ExitAsync(Token);
        Check.That(status != 0, $"`{program} {string.Join(' ', arguments)}` succeeded: {tool.Tail()}");
        return tool.Output;
    }

    /// <summary>Starts a program that ends with the case at the latest.</summary>
    internal Tool Start(string program, params string[] arguments)
    {
        var tool = new Tool(program, arguments);
        _tools.Add(tool);
        return tool;
    }

    /// <summary>Starts a server in a process of its own, and waits until its disk is there.</summary>
    internal async Task<Server> ServeAsync(params string[] arguments)
    {
        Server server = StartServer(arguments);
        await server.ReadyAsync(Token);
        return server;
    }

    /// <summary>Starts a server in a process of its own.</summary>
    internal Server StartServer(params string[] arguments)
    {
        var server = new Server(Start(Environment.ProcessPath!, [typeof(Scene).Assembly.Location, "serve", .. arguments, "--commands"]));
        return server;
    }

    /// <summary>Which programs still run, for the report of a case whose time is over.</summary>
    internal string StillRunning() => string.Join("; ", _tools.Where(static tool => !tool.HasExited).Select(static tool => $"{tool.Line} ({tool.Tail()})"));

    /// <summary>Waits for what nobody announces.</summary>
    internal async Task UntilAsync(Func<bool> condition, string what, int seconds = 20)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Check.That(Stopwatch.GetElapsedTime(start).TotalSeconds < seconds, $"waited {seconds} s in vain until {what}");
            await Task.Delay(20, Token);
        }
    }

    internal Task PauseAsync(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds), Token);

    /// <summary>The size in bytes of a block device, 0 where there is none.</summary>
    internal static long SizeOf(string node)
    {
        string file = $"/sys/class/block/{Path.GetFileName(node)}/size";
        try
        {
            return long.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture) * 512;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    /// <summary>A value of the disk's queue in /sys.</summary>
    internal static string QueueValue(string node, string name) =>
        File.ReadAllText($"/sys/class/block/{Path.GetFileName(node)}/queue/{name}").Trim();

    public ValueTask DisposeAsync()
    {
        foreach (Tool tool in _tools)
        {
            tool.Dispose();
        }

        if (Mounts.Any(Folder))
        {
            Mounts.LeaveAll(Folder);
        }

        Directory.Delete(Folder, recursive: true);
        return ValueTask.CompletedTask;
    }
}
