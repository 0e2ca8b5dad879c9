using System.Globalization;
using System.Text;

namespace Abuse.Core;

/// <content>Rules as text: the grammar of Linux's block error injection (Documentation/block/error-injection.rst), and more keys.</content>
public sealed partial record FaultRule
{
    private static readonly (BioOp Op, string Name)[] Ops =
    [
        (BioOp.Read, "READ"), (BioOp.Write, "WRITE"), (BioOp.Flush, "FLUSH"), (BioOp.Discard, "DISCARD"), (BioOp.WriteZeroes, "WRITE_ZEROES"),
    ];

    /// <summary>The kernel's names of its block status codes, and what they are here.</summary>
    private static readonly (BioResult Result, string Name)[] Statuses =
    [
        (BioResult.IoError, "IOERR"), (BioResult.MediaFailure, "MEDIUM"), (BioResult.NoSpace, "NOSPC"), (BioResult.NotSupported, "NOTSUPP"),
        (BioResult.Timeout, "TIMEOUT"), (BioResult.Offline, "OFFLINE"), (BioResult.Canceled, "AGAIN"), (BioResult.ReadOnly, "TARGET"),
        (BioResult.OutOfRange, "INVAL"),
    ];

    /// <summary>Reads a rule: <c>add,op=READ,start=0,nr_sectors=8,status=IOERR,chance=10</c>.</summary>
    /// <param name="text">Options with commas between them, as docs/faults.md lists them.</param>
    /// <exception cref="FormatException">The text is no rule; the message says where and what is known.</exception>
    public static FaultRule Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] options = text.Trim().Split(',');
        if (options[0].Trim() != "add")
        {
            throw new FormatException($"A rule begins with \"add\", not \"{options[0]}\".");
        }

        var rule = new FaultRule();
        var seen = new HashSet<string>();
        foreach (string option in options.AsSpan(1))
        {
            int equals = option.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0)
            {
                throw new FormatException($"\"{option}\" in \"{text}\" is no option of the form key=value.");
            }

            string key = option[..equals].Trim();
            if (!seen.Add(key))
            {
                throw new FormatException($"\"{text}\" says {key} twice.");
            }

            rule = rule.With(key, option[(equals + 1)..].Trim());
        }

        if (!seen.Contains("op") || !(seen.Contains("status") || seen.Contains("effect")))
        {
            throw new FormatException($"\"{text}\" needs an op, and a status or an effect.");
        }

        rule = rule with { Length = rule.Length == 0 ? long.MaxValue : rule.Length };
        return (rule.FindMisfit(seen) ?? rule.FindContradiction()) is { } why ? throw new FormatException($"\"{text}\" contradicts itself: {why}.") : rule;
    }

    private FaultRule With(string key, string value) => key switch
    {
        "op" => value == "ANY" ? this with { Op = null } : this with { Op = Find(Ops, value, key) },
        "start" => this with { Start = Number(key, value, long.MaxValue / BlockGeometry.SectorSize) * BlockGeometry.SectorSize },
        "nr_sectors" => this with { Length = Number(key, value, long.MaxValue / BlockGeometry.SectorSize) * BlockGeometry.SectorSize },
        "status" => this with { Result = Find(Statuses, value, key) },
        "chance" => this with { Chance = (int)Number(key, value, int.MaxValue) },
        "fua" => this with { FuaOnly = Number(key, value, 1) == 1 },
        "nth" => Nth(Positive(key, value)),
        "every" => Every(Positive(key, value)),
        "times" => Times(Positive(key, value)),
        "from_us" => this with { From = Microseconds(key, value) },
        "until_us" => this with { Until = Microseconds(key, value) },
        "while" => While(Parse<FaultCondition>(key, value)),
        "effect" => WithEffect(Parse<FaultEffect>(key, value)),
        "time_us" => this with { Duration = Microseconds(key, value) },
        "factor" => this with { Factor = (int)Math.Max(2, Number(key, value, 1_000_000)) },
        "cluster" => this with { Cluster = Number(key, value, long.MaxValue) },
        "answered" => this with { Result = Number(key, value, 1) == 1 ? BioResult.Ok : Result },
        _ => throw new FormatException(
            $"\"{key}\" is no option. Known are op, start, nr_sectors, status, chance, fua, nth, every, times, from_us, until_us, while, effect, time_us, factor, cluster and answered."),
    };

    /// <summary>Options that say nothing of the rule's effect, or that are missing; null if there are none.</summary>
    private string? FindMisfit(HashSet<string> said)
    {
        bool takesTime = Effect is FaultEffect.Delay or FaultEffect.Duplicate or FaultEffect.Zombie or FaultEffect.Limp;
        return said.Contains("status") && said.Contains("effect") && Effect != FaultEffect.Status ? $"{Effect} decides how a bio ends, and a status is given"
            : said.Contains("answered") && Effect != FaultEffect.Torn ? "answered is for Torn alone"
            : said.Contains("cluster") && Effect != FaultEffect.Media ? "cluster is for Media alone"
            : said.Contains("factor") != (Effect == FaultEffect.Limp) ? "factor is for Limp, which needs it"
            : said.Contains("time_us") != takesTime ? "time_us is for Delay, Duplicate, Zombie and Limp, which need it"
            : takesTime && (Duration == TimeSpan.Zero || Duration > Longest) ? "time_us is above 0, and at most 30 days"
            : Until <= From ? "until_us is not after from_us"
            : null;
    }

    private FaultRule WithEffect(FaultEffect effect) => effect switch
    {
        FaultEffect.Media => this with { Effect = effect, Result = BioResult.MediaFailure },
        FaultEffect.Zombie => this with { Effect = effect, Result = BioResult.Timeout },
        FaultEffect.DeviceFailure => FailDevice(),
        FaultEffect.Reset => Reset(),
        _ => this with { Effect = effect },
    };

    private static T Find<T>((T Value, string Name)[] table, string name, string key)
    {
        foreach ((T value, string known) in table)
        {
            if (known == name)
            {
                return value;
            }
        }

        throw new FormatException($"{key}={name} is not known. Known are {string.Join(", ", table.Select(static row => row.Name))}.");
    }

    private static T Parse<T>(string key, string value)
        where T : struct, Enum =>
        Enum.TryParse(value, ignoreCase: true, out T result) && Enum.IsDefined(result)
            ? result
            : throw new FormatException($"{key}={value} is not known. Known are {string.Join(", ", Enum.GetNames<T>())}.");

    private static long Number(string key, string value, long most) =>
        long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number <= most
            ? number
            : throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"{key}={value} is not a number from 0 to {most}."));

    private static long Positive(string key, string value) =>
        Number(key, value, long.MaxValue) is > 0 and var number ? number : throw new FormatException($"{key} is above 0.");

    private static TimeSpan Microseconds(string key, string value) =>
        TimeSpan.FromMicroseconds(Number(key, value, TimeSpan.MaxValue.Ticks / TimeSpan.TicksPerMicrosecond));

    /// <summary>The rule as text, without its predicate.</summary>
    public override string ToString()
    {
        StringBuilder text = new StringBuilder("add,op=").Append(Op is { } op ? Ops.First(row => row.Op == op).Name : "ANY");
        Append(text, "fua", FuaOnly ? 1 : 0, 0);
        Append(text, "start", Start / BlockGeometry.SectorSize, 0);
        Append(text, "nr_sectors", Length == long.MaxValue ? 0 : Length / BlockGeometry.SectorSize, 0);
        if (Effect == FaultEffect.Status)
        {
            text.Append(",status=").Append(Statuses.First(row => row.Result == Result).Name);
        }
        else
        {
            text.Append(",effect=").Append(Effect);
        }

        Append(text, "answered", Effect == FaultEffect.Torn && Result == BioResult.Ok ? 1 : 0, 0);
        Append(text, "time_us", Duration.Ticks / TimeSpan.TicksPerMicrosecond, 0);
        Append(text, "factor", Factor, 1);
        Append(text, "cluster", Cluster, 0);
        Append(text, "chance", Chance, 1);
        Append(text, "nth", NthOne, 0);
        Append(text, "every", EveryOne, 1);
        Append(text, "times", MostTimes, long.MaxValue);
        Append(text, "from_us", From.Ticks / TimeSpan.TicksPerMicrosecond, 0);
        Append(text, "until_us", Until.Ticks / TimeSpan.TicksPerMicrosecond, TimeSpan.MaxValue.Ticks / TimeSpan.TicksPerMicrosecond);
        return Condition == FaultCondition.Always ? text.ToString() : text.Append(",while=").Append(Condition).ToString();
    }

    private static void Append(StringBuilder text, string key, long value, long unless)
    {
        if (value != unless)
        {
            text.Append(CultureInfo.InvariantCulture, $",{key}={value}");
        }
    }
}
